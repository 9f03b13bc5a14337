//! Makes a [`Line`] of each event and hands it to ring, files and terminal.

use std::sync::Arc;
use std::time::SystemTime;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::PROCESS;
use crate::files::Files;
use crate::line::{Fields, Line, Value, format_time};
use crate::ring::Rings;
use crate::terminal::Terminal;

/// Name of the span around a service; its field `name` says which.
pub(crate) const SERVICE_SPAN: &str = "service";
/// Longest service name: it becomes a file name.
const SERVICE_NAME_BYTES_MAX: usize = 64;

/// The service that a service span stands for, as an extension of that span.
#[derive(Debug)]
pub(crate) struct ServiceName(pub(crate) String);

/// The layer.
#[derive(Debug)]
pub(crate) struct Collect {
    rings: Arc<Rings>,
    files: Arc<Files>,
    terminal: Option<Terminal>,
}

impl Collect {
    pub(crate) fn new(rings: Arc<Rings>, files: Arc<Files>, terminal: Option<Terminal>) -> Self {
        Self { rings, files, terminal }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collect {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if span.name() != SERVICE_SPAN {
            span.extensions_mut().insert(fields);
        } else if let Some(name) = service_name(&fields) {
            span.extensions_mut().insert(ServiceName(name));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Formatted before the lock is taken: a `Debug` that logs would wait for itself.
        let mut recorded = Fields::default();
        values.record(&mut recorded);
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            recorded.values.into_iter().for_each(|(name, value)| fields.set(&name, value));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let line = Arc::new(line(event, context.event_span(event)));
        if let Some(terminal) = &self.terminal {
            terminal.write(&line);
        }
        self.rings.push(Arc::clone(&line));
        self.files.push(line);
    }
}

/// The name in a service span's fields, where it can be a file name. Another one is as good as none: its lines go to
/// [`PROCESS`].
fn service_name(fields: &Fields) -> Option<String> {
    let (_, value) = fields.values.iter().find(|(name, _)| name == "name")?;
    let Value::Text(name) = value else { return None };
    let harmless = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=SERVICE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(harmless);
    fits.then(|| name.clone())
}

/// The line of an event in `span`.
fn line<'a, S: Subscriber + LookupSpan<'a>>(event: &Event<'_>, span: Option<SpanRef<'a, S>>) -> Line {
    let mut service = None;
    let mut fields = Fields::default();
    for span in span.iter().flat_map(SpanRef::scope).collect::<Vec<_>>().iter().rev() {
        let extensions = span.extensions();
        if let Some(ServiceName(name)) = extensions.get() {
            service = Some(name.clone());
        }
        for (name, value) in extensions.get::<Fields>().iter().flat_map(|fields| &fields.values) {
            fields.set(name, value.clone());
        }
    }
    event.record(&mut fields);
    Line {
        time: format_time(SystemTime::now()),
        level: (*event.metadata().level()).into(),
        service: service.unwrap_or_else(|| PROCESS.to_owned()),
        target: event.metadata().target().to_owned(),
        message: fields.message.unwrap_or_default(),
        fields: fields.values,
    }
}
