//! Which lines pass: a level per service, changeable while running.
//!
//! Libraries are held to warnings unless the service is at trace: at debug level they say more than the service does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::PROCESS;
use crate::collect::{SERVICE_SPAN, ServiceName};

/// Levels set at most: there are about fifty services, and a name may come from an administrator.
const LEVELS_MAX: usize = 256;
/// Our own code: the targets of these are module paths.
const OWN_TARGETS: &str = "lucid";

/// The level of each service.
#[derive(Debug)]
pub(crate) struct Levels {
    default_level: LevelFilter,
    by_service: RwLock<HashMap<String, LevelFilter>>,
}

impl Levels {
    pub(crate) fn new(default_level: LevelFilter) -> Self {
        Self { default_level, by_service: RwLock::new(HashMap::new()) }
    }

    /// Sets the level of `service`.
    pub(crate) fn set(&self, service: &str, level: LevelFilter) {
        {
            let mut levels = self.by_service.write().unwrap_or_else(PoisonError::into_inner);
            if levels.len() >= LEVELS_MAX && !levels.contains_key(service) {
                return;
            }
            levels.insert(service.to_owned(), level);
        }
        // The highest level in use may have changed: tracing caches it beside every log statement.
        tracing::callsite::rebuild_interest_cache();
    }

    /// The level of `service`.
    pub(crate) fn of(&self, service: &str) -> LevelFilter {
        let levels = self.by_service.read().unwrap_or_else(PoisonError::into_inner);
        levels.get(service).copied().unwrap_or(self.default_level)
    }

    /// The levels of `services` and of all that have one of their own.
    pub(crate) fn all(&self, services: Vec<String>) -> BTreeMap<String, LevelFilter> {
        let mut all: BTreeMap<_, _> = services.into_iter().map(|service| (service, self.default_level)).collect();
        let levels = self.by_service.read().unwrap_or_else(PoisonError::into_inner);
        all.extend(levels.iter().map(|(service, level)| (service.clone(), *level)));
        all
    }

    /// The level below which no service logs.
    fn highest(&self) -> LevelFilter {
        let levels = self.by_service.read().unwrap_or_else(PoisonError::into_inner);
        levels.values().copied().fold(self.default_level, LevelFilter::max)
    }

    /// Whether a line of `level` and `target` passes in `service`.
    fn passes(&self, service: &str, level: Level, target: &str) -> bool {
        let of_service = self.of(service);
        let own = target.starts_with(OWN_TARGETS);
        let limit =
            if own || of_service == LevelFilter::TRACE { of_service } else { of_service.min(LevelFilter::WARN) };
        level <= limit
    }

    /// The filter over all layers.
    pub(crate) fn layer(self: Arc<Self>) -> LevelLayer {
        LevelLayer(self)
    }
}

/// [`Levels`] as a layer: what it refuses no other layer sees.
#[derive(Debug)]
pub(crate) struct LevelLayer(Arc<Levels>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LevelLayer {
    /// Never cached: the answer depends on the enclosing service.
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        // Without its span a service has no name.
        if metadata.is_span() && metadata.name() == SERVICE_SPAN {
            return true;
        }
        let span = context.lookup_current();
        let named = span.iter().flat_map(|span| span.scope()).find_map(|span| {
            let extensions = span.extensions();
            let name = &extensions.get::<ServiceName>()?.0;
            Some(self.0.passes(name, *metadata.level(), metadata.target()))
        });
        named.unwrap_or_else(|| self.0.passes(PROCESS, *metadata.level(), metadata.target()))
    }

    /// What lets tracing skip the rest for the price of one comparison. Service spans are at info level.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.highest().max(LevelFilter::INFO))
    }
}
