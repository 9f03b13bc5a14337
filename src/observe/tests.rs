//! The whole, under a subscriber of the test's own.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use tracing::{debug, debug_span, error, info, info_span, trace, warn};

use super::*;

/// Long enough for any machine; nothing waits for its end.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn config(log_dir: Option<&Path>) -> ObserveConfig {
    ObserveConfig {
        log_dir: log_dir.map(Path::to_owned),
        journald: Journald::Off,
        default_level: LevelFilter::INFO,
        terminal: TerminalFormat::Off,
    }
}

/// Runs `work` with logs set up as in `config`.
pub(crate) fn with(config: ObserveConfig, work: impl FnOnce(&Observe)) {
    let (subscriber, observe) = build(config).unwrap();
    tracing::subscriber::with_default(subscriber, || work(&observe));
}

pub(crate) fn messages(observe: &Observe, service: &str) -> Vec<String> {
    observe.recent(service, 1000).into_iter().map(|line| line.message).collect()
}

fn file(dir: &Path, service: &str) -> Vec<Json> {
    let text = fs::read_to_string(dir.join(service).join(format!("{service}.log"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_belong_to_the_enclosing_service() {
    with(config(None), |observe| {
        info!("before");
        info_span!("service", name = "ledger").in_scope(|| {
            info!("inside");
            info_span!("request", id = 7).in_scope(|| info!(fee = 3, "deeper"));
        });
        info_span!("service", name = "../../etc").in_scope(|| info!("a name that is no file name"));
        info_span!("service").in_scope(|| info!("no name"));
        assert_eq!(messages(observe, "ledger"), ["inside", "deeper"]);
        assert_eq!(messages(observe, "lucid"), ["before", "a name that is no file name", "no name"]);
        let deeper = &observe.recent("ledger", 1)[0];
        assert_eq!(deeper.fields, [("id".to_owned(), Value::Signed(7)), ("fee".to_owned(), Value::Signed(3))]);
        assert_eq!((deeper.level, deeper.target.as_str()), (Level::Info, "lucid_observe::tests"));
        assert_eq!(observe.recent("nobody", 5), []);
    });
}

#[test]
fn span_fields_recorded_later_are_there_too() {
    with(config(None), |observe| {
        let span = info_span!("request", status = tracing::field::Empty, id = 1);
        span.in_scope(|| {
            info!("one");
            span.record("status", 200);
            span.record("id", 2);
            info!(id = 3, "two");
        });
        let fields: Vec<_> = observe.recent("lucid", 2).into_iter().map(|line| line.fields).collect();
        assert_eq!(fields[0], [("id".to_owned(), Value::Signed(1))]);
        assert_eq!(fields[1], [("id".to_owned(), Value::Signed(3)), ("status".to_owned(), Value::Signed(200))]);
    });
}

#[test]
fn levels_change_while_running_and_for_one_service_only() {
    with(config(None), |observe| {
        let say = |name: &'static str| {
            info_span!("service", name).in_scope(|| {
                debug_span!("work").in_scope(|| {
                    error!("error");
                    info!("info");
                    debug!("debug");
                    trace!("trace");
                    warn!(target: "hyper", "library warning");
                    debug!(target: "hyper", "library debug");
                });
            });
            let lines = messages(observe, name);
            let start = lines.iter().rposition(|line| line == "error").unwrap_or(lines.len());
            lines[start..].join(" ")
        };
        assert_eq!(say("vm"), "error info library warning");
        observe.set_level("vm", LevelFilter::DEBUG);
        assert_eq!(say("vm"), "error info debug library warning");
        assert_eq!(say("ledger"), "error info library warning");
        observe.set_level("vm", LevelFilter::TRACE);
        assert_eq!(say("vm"), "error info debug trace library warning library debug");
        observe.set_level("vm", LevelFilter::ERROR);
        assert_eq!(say("vm"), "error");
        observe.set_level("quiet", LevelFilter::OFF);
        assert_eq!(say("quiet"), "");
        observe.set_level("lucid", LevelFilter::DEBUG);
        debug!("outside");
        assert_eq!(messages(observe, "lucid"), ["outside"]);
        let levels = observe.levels();
        let level = |name: &str| levels[name];
        assert_eq!(
            (level("vm"), level("ledger"), level("quiet")),
            (LevelFilter::ERROR, LevelFilter::INFO, LevelFilter::OFF)
        );
    });
}

#[test]
fn files_are_json_lines_per_service() {
    let dir = tempfile::tempdir().unwrap();
    with(config(Some(dir.path())), |observe| {
        info_span!("service", name = "ledger").in_scope(|| {
            warn!(account = "a\u{1b}[31m", amount = 2.5, ok = true, count = u64::MAX, "line\nforged\u{202e}");
        });
        error!("process");
        assert!(observe.flush(LIMIT));
        let line = &file(dir.path(), "ledger")[0];
        assert_eq!(line["message"], "line\\nforged\\u{202e}");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["service"], "ledger");
        assert_eq!(line["target"], "lucid_observe::tests");
        let fields = serde_json::json!({"account": "a\\u{1b}[31m", "amount": 2.5, "ok": true, "count": u64::MAX});
        assert_eq!(line["fields"], fields);
        let time = line["time"].as_str().unwrap();
        assert_eq!((time.len(), &time[10..11], &time[23..]), (24, "T", "Z"));
        assert_eq!(file(dir.path(), "lucid")[0]["message"], "process");
    });
}

#[test]
fn the_folder_can_come_later_change_and_go() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    with(config(None), |observe| {
        info!("without a folder");
        observe.set_log_dir(Some(first.path().to_owned()));
        info!("one");
        observe.set_log_dir(Some(second.path().to_owned()));
        info!("two");
        observe.set_log_dir(None);
        info!("three");
        assert!(observe.flush(LIMIT));
        assert_eq!(file(first.path(), "lucid")[0]["message"], "one");
        assert_eq!(file(second.path(), "lucid").len(), 1);
        assert_eq!(file(second.path(), "lucid")[0]["message"], "two");
        assert_eq!(messages(observe, "lucid").len(), 4);
        let own = format!("{}/", second.path().display());
        let open: Vec<_> =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()).collect();
        assert!(!open.iter().any(|path| path.to_string_lossy().starts_with(&own)), "{open:?}");
    });
}

#[test]
fn a_disk_that_is_gone_is_used_again_when_it_is_back() {
    let mount = tempfile::tempdir().unwrap();
    let dir = mount.path().join("Lucid/logs");
    with(config(Some(&dir)), |observe| {
        for number in 0..5 {
            info!(number, "lost");
            assert!(observe.flush(LIMIT));
        }
        fs::create_dir(mount.path().join("Lucid")).unwrap();
        observe.set_log_dir(Some(dir.clone()));
        info!("kept");
        assert!(observe.flush(LIMIT));
        assert_eq!(file(&dir, "lucid")[0]["message"], "kept");
    });
}

#[test]
fn many_threads_log_at_once_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    with(config(Some(dir.path())), |observe| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let dispatch = dispatch.clone();
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        (0..100).for_each(|number| info!(thread, number, "line"));
                    });
                });
            }
        });
        assert!(observe.flush(LIMIT));
        assert_eq!(file(dir.path(), "lucid").len(), 400);
        assert_eq!(messages(observe, "lucid").len(), 300);
    });
}

#[test]
fn a_value_that_logs_while_it_is_printed_does_not_lock_up() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("from inside");
            formatter.write_str("chatty")
        }
    }
    with(config(None), |observe| {
        let span = info_span!("request", value = tracing::field::Empty);
        span.in_scope(|| {
            span.record("value", tracing::field::debug(Chatty));
            info!(value = ?Chatty, "outer");
        });
        assert!(messages(observe, "lucid").contains(&"from inside".to_owned()));
        assert_eq!(observe.recent("lucid", 1)[0].fields[0].1, Value::Text("chatty".to_owned()));
    });
}

#[test]
fn init_works_once_in_a_process_and_metrics_have_buckets() {
    let observe = init(config(None)).unwrap();
    metrics::counter!("lucid_test_total", "label" => "a\"b\n").increment(40);
    assert_eq!(observe.render(), "", "nothing is counted yet");
    observe.count().unwrap().wait().unwrap();
    metrics::histogram!("lucid_test_duration_seconds").record(0.003);
    metrics::counter!("lucid_test_total", "label" => "a\"b\n").increment(2);
    let text = observe.render();
    assert!(text.contains("lucid_test_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    assert!(text.contains("lucid_test_duration_seconds_bucket{le=\"0.0025\"} 0"));
    assert!(text.contains("lucid_test_total{label=\"a\\\"b\\n\"} 2"), "{text}");
    info!("installed");
    assert_eq!(messages(&observe, "lucid"), ["installed"]);
    assert!(matches!(init(config(None)), Err(ObserveError::LogsInstalled { .. })));
    assert!(matches!(observe.count().unwrap().wait(), Err(ObserveError::MetricsInstalled { .. })));
}

#[test]
fn journald_is_used_only_where_standard_error_is_the_journal() {
    for stream in [None, Some(""), Some("1"), Some("x:y"), Some("0:0"), Some("8:18446744073709551616")] {
        assert!(journal_layer(&Journald::Auto(stream.map(str::to_owned))).is_none(), "{stream:?}");
    }
    use std::os::unix::fs::MetadataExt;
    let own = fs::metadata("/proc/self/fd/2").unwrap();
    assert!(terminal::is_standard_error(&format!("{}:{}", own.dev(), own.ino())));
    assert!(!terminal::is_standard_error(&format!("{}:{}", own.dev(), own.ino() + 1)));
}
