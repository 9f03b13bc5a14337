//! The other groups' services.

use std::{sync::Arc, time::Duration};

use axum::Router;
use lucid_appliance::{AgentView, Release, StorageWatch, ThermalWatch, storage_watch, thermal_watch};
use lucid_foundation::auth_service::{self, AuthService};
use lucid_http::ListenPolicy;
use lucid_kit::{Service, Wired};
use lucid_ports::{Load, Storage};
use lucid_sessions::{
    PipelineConfig, Progress, SessionApi, SessionApiDeps, SessionPipeline, SessionPipelineDeps, SessionStorage,
    SessionStorageDeps,
};
use tokio::sync::watch;

use super::{Links, Starter, ports::VaultRecovery};
use crate::{config::keys, table};

/// A recording whose client stayed away for so long is sealed as it is: a day covers a night and a weekend's restart.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

const MIB: u64 = 1024 * 1024;

impl Starter<'_> {
    pub(super) fn watches(
        &mut self,
        storage: Wired<StorageWatch>,
        thermal: Wired<ThermalWatch>,
        (storage_out, agent_view): (watch::Sender<Storage>, watch::Sender<AgentView>),
        release: Release,
        load_out: watch::Sender<Load>,
    ) -> watch::Receiver<Arc<thermal_watch::History>> {
        let ground = self.ground;
        let config = storage_watch::Config {
            root: ground.data_root.clone(),
            reserve_bytes: ground.settings.integer(&keys::RESERVE_MIB) * MIB,
            absent: ground.absent_root,
            marker: None,
        };
        let deps = storage_watch::Deps { storage: storage_out, agent: ground.agent.clone(), release, agent_view };
        self.supervise(table::STORAGE_WATCH, storage, config, deps, Vec::new());

        let (history, read) = watch::channel(Arc::default());
        let config = thermal_watch::Config { thresholds: ground.thresholds };
        let deps = thermal_watch::Deps { device: ground.device.clone(), load: load_out, history };
        self.supervise(table::THERMAL_WATCH, thermal, config, deps, Vec::new());
        read
    }

    pub(super) fn auth(&mut self, auth: Wired<AuthService>, links: &Links) {
        let ground = self.ground;
        let settings = &ground.settings;
        let routes = auth_routes(links);
        let policy = self.lan(AuthService::NAME);
        let (gate, _) = self.front(&keys::AUTH_SERVICE_PORT, policy, routes);
        let config = auth_service::Config {
            access_token_s: settings.integer(&keys::ACCESS_TOKEN_S),
            refresh_token_s: settings.integer(&keys::REFRESH_TOKEN_S),
            login_attempts_max: u32::try_from(settings.integer(&keys::LOGIN_ATTEMPTS_MAX)).unwrap_or(u32::MAX),
            login_window_s: settings.integer(&keys::LOGIN_WINDOW_S),
            locked: ground.boot.locked(),
            migrate: ground.boot.may_migrate(),
        };
        let deps = auth_service::Deps {
            pool: links.pool.clone(),
            clock: ground.clock.clone(),
            recovery: Arc::new(VaultRecovery::new(ground.state_dir.clone(), links.repository.1.clone())),
            state_dir: ground.state_dir.clone(),
            announce: ground.announce.clone(),
            store: links.auth_store.0.clone(),
        };
        self.supervise(table::AUTH_SERVICE, auth, config, deps, vec![gate]);
    }

    pub(super) fn sessions(
        &mut self,
        storage: Wired<SessionStorage>,
        pipeline: Wired<SessionPipeline>,
        api: Wired<SessionApi>,
        links: &Links,
    ) {
        let ground = self.ground;
        let policy = ListenPolicy::loopback(SessionStorage::NAME);
        let (gate, _) = self.front(&keys::SESSION_STORAGE_PORT, policy, Router::new());
        let deps = SessionStorageDeps {
            data_dir: ground.data_root.join("data"),
            state_dir: ground.state_dir.clone(),
            identity: ground.identity.clone(),
            repository: links.repository.0.clone(),
            migrate: ground.boot.may_migrate(),
        };
        self.supervise(table::SESSION_STORAGE, storage, (), deps, vec![gate]);

        let policy = ListenPolicy::loopback(SessionPipeline::NAME);
        let (gate, _) = self.front(&keys::SESSION_PIPELINE_PORT, policy, Router::new());
        let deps = SessionPipelineDeps {
            repository: links.repository.1.clone(),
            uploads: links.uploads.0.clone(),
            pool: links.pool.clone(),
            clock: ground.clock.clone(),
            storage: links.storage.clone(),
            progress: Progress::new(ground.signer.clone(), Arc::new(links.anchoring.clone())),
        };
        let config = self.pipeline_config();
        self.supervise(table::SESSION_PIPELINE, pipeline, config, deps, vec![gate]);

        let policy = ListenPolicy::loopback(SessionApi::NAME);
        let (gate, _) = self.front(&keys::SESSION_API_PORT, policy, lucid_sessions::routes(links.api.1.clone()));
        let deps = SessionApiDeps {
            repository: links.repository.1.clone(),
            uploads: links.uploads.1.clone(),
            accounts: links.lookup.clone(),
            chain: Arc::new(links.chain.clone()),
            pool: links.pool.clone(),
            load: links.load.clone(),
            api: links.api.0.clone(),
        };
        self.supervise(table::SESSION_API, api, (), deps, vec![gate]);
    }

    fn pipeline_config(&self) -> PipelineConfig {
        let settings = &self.ground.settings;
        let number = |key| usize::try_from(settings.integer(key)).expect("the table bounds it far below 2^32");
        PipelineConfig {
            chunk_bytes: number(&keys::CHUNK_SIZE_MIB) * 1024 * 1024,
            chunk_age: Duration::from_secs(settings.integer(&keys::CHUNK_CLOSE_S)),
            level: i32::try_from(settings.integer(&keys::ZSTD_LEVEL)).expect("the table bounds it to 19"),
            uploads_max: number(&keys::UPLOADS_MAX),
            idle_max: IDLE_MAX,
        }
    }
}

/// The routes of accounts and tokens, for their own port and for the dashboard's.
pub(super) fn auth_routes(links: &Links) -> Router {
    auth_service::routes(links.accounts.clone(), links.authenticator.clone())
}
