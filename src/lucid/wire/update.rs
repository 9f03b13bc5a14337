//! Updates: the service, its routes, and where the own dashboard has to answer while a release is on trial.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use lucid_appliance::Update;
use lucid_appliance::update::{self, ApiDeps, Settings, Zone};
use lucid_kit::Wired;
use tokio::sync::watch;

use super::{Links, SIGNING, Starter};
use crate::config::{self, keys};
use crate::front::Opened;
use crate::table;

impl Starter<'_> {
    /// `dashboard`: where it listens for browsers.
    pub(super) fn update(&mut self, update: Wired<Update>, links: &Links, dashboard: watch::Receiver<Opened>) {
        let ground = self.ground;
        let pipeline = links.pipeline.clone();
        let deps = update::Deps {
            agent: ground.agent.clone(),
            board: self.board.clone(),
            logs: Arc::new(ground.observe.clone()),
            clock: ground.clock.clone(),
            accounts: links.accounts.clone(),
            storage: links.storage.clone(),
            recordings: Arc::new(move || pipeline.status().map_or(0, |status| status.uploads)),
            addresses: Arc::new(move || addresses(&dashboard.borrow(), lucid_device::interfaces)),
            ca_pem: ground.ca_pem.clone(),
            id: ground.identity.signing_key(SIGNING).verifying_key().to_bytes(),
            supervisor: uuid::Uuid::new_v4().to_string(),
            state_dir: ground.state_dir.clone(),
            desk: links.desk.clone(),
        };
        self.supervise(table::UPDATE, update, settings(&ground.settings), deps, Vec::new());
    }

    pub(super) fn update_routes(&self, links: &Links) -> Router {
        let (accounts, clock) = (links.accounts.clone(), self.ground.clock.clone());
        update::routes(ApiDeps { updates: links.updates.clone(), accounts, clock })
    }
}

fn settings(settings: &config::Settings) -> Settings {
    const CHECKED: &str = "the table of settings checks it by the same rule";
    Settings {
        channel: settings.optional(&keys::UPDATE_CHANNEL).map(|text| text.parse().expect(CHECKED)),
        automatic: settings.flag(&keys::UPDATE_AUTOMATIC),
        window: settings.optional(&keys::UPDATE_WINDOW).map(|text| text.parse().expect(CHECKED)),
        zone: Zone::of_this_program(),
        pinned: settings.optional(&keys::UPDATE_PINNED).map(str::to_owned),
        check_h: settings.integer(&keys::UPDATE_CHECK_H),
        soak_s: settings.integer(&keys::UPDATE_SOAK_S),
    }
}

/// Where the dashboard has to answer: on a listener on all addresses at each that the LAN may use and at this machine's
/// own, else at the one.
fn addresses(
    dashboard: &Opened,
    interfaces: fn() -> std::io::Result<std::collections::BTreeSet<IpAddr>>,
) -> Result<Vec<SocketAddr>, String> {
    let at = match dashboard {
        Opened::NotYet(reason) => return Err(format!("the dashboard's port is not open: {reason}")),
        Opened::At(at) if at.ip().is_unspecified() => at,
        Opened::At(at) => return Ok(vec![*at]),
    };
    let lan = interfaces().map_err(|error| format!("the box's addresses can't be read: {error}"))?;
    // `0.0.0.0` takes no IPv6 connections; `::` takes both.
    let reached = lan.into_iter().filter(|address| at.is_ipv6() || address.is_ipv4());
    let all = reached.chain([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    Ok(all.map(|address| SocketAddr::new(address, at.port())).collect())
}

#[cfg(test)]
mod tests;
