//! The chain's services.

use lucid_chain::{
    AnchoringDeps, BlockManager, BlockManagerDeps, BlockchainEngine, EngineConfig, EngineDeps, SessionAnchoring, routes,
};
use lucid_http::ListenPolicy;
use lucid_kit::{Service, Wired};

use super::{Links, SIGNING, Starter};
use crate::{config::keys, table};

impl Starter<'_> {
    pub(super) fn chain(
        &mut self,
        engine: Wired<BlockchainEngine>,
        anchoring: Wired<SessionAnchoring>,
        manager: Wired<BlockManager>,
        links: &Links,
    ) {
        let ground = self.ground;
        let settings = &ground.settings;
        let key = || ground.identity.signing_key(SIGNING);
        let policy = self.lan(BlockchainEngine::NAME);
        let (gate, _) = self.front(&keys::BLOCKCHAIN_ENGINE_PORT, policy, routes::chain(links.chain.clone()));
        let config = EngineConfig {
            data_dir: ground.data_root.join("data").join(BlockchainEngine::NAME),
            state_dir: ground.state_dir.clone(),
            block_interval_s: settings.integer(&keys::BLOCK_INTERVAL_S),
            accept_rollback: settings.chain_head(&keys::ACCEPT_ROLLBACK),
            migrate: ground.boot.may_migrate(),
        };
        let deps = EngineDeps { key: key(), clock: ground.clock.clone(), lender: links.chain_store.0.clone() };
        self.supervise(table::BLOCKCHAIN_ENGINE, engine, config, deps, vec![gate]);

        let policy = ListenPolicy::loopback(SessionAnchoring::NAME);
        let (gate, _) = self.front(&keys::SESSION_ANCHORING_PORT, policy, routes::anchoring(links.anchoring.clone()));
        let (store, handle) = (links.chain_store.1.clone(), links.engine.clone());
        let deps = AnchoringDeps { key: key(), engine: handle.clone(), chain: store.clone() };
        self.supervise(table::SESSION_ANCHORING, anchoring, (), deps, vec![gate]);

        let policy = ListenPolicy::loopback(BlockManager::NAME);
        let (gate, _) = self.front(&keys::BLOCK_MANAGER_PORT, policy, routes::chain(links.chain.clone()));
        let (pool, clock) = (links.pool.clone(), ground.clock.clone());
        let deps = BlockManagerDeps { chain: store, engine: handle, pool, clock };
        self.supervise(table::BLOCK_MANAGER, manager, (), deps, vec![gate]);
    }
}
