//! Settings: what is accepted, what is refused and in which words, what derives from the table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::environment;
use super::errors::ConfigError;
use super::keys::*;
use super::obsolete::OBSOLETE;
use super::*;

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lucid.toml");
    std::fs::write(&file, toml).unwrap();
    load_file(&file, environment)
}

fn load_file(file: &Path, environment: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(file), environment)
}

/// The messages, with the file's folder cut off.
fn messages(toml: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let errors = load(toml, environment).unwrap_err();
    errors.0.iter().map(|error| cut_folder(&error.to_string())).collect()
}

fn cut_folder(message: &str) -> String {
    let word = |word: &str| match word.rsplit_once('/') {
        Some((folder, name)) if folder.starts_with('(') => format!("({name}"),
        Some((_, name)) => name.to_owned(),
        None => word.to_owned(),
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_set_gives_the_defaults() {
    let settings = Settings::load(None, std::iter::empty()).unwrap();
    assert_eq!(settings.path(&DATA_DIR), PathBuf::from("./var/data"));
    assert_eq!(settings.address(&LISTEN_HOST).to_string(), "127.0.0.1");
    assert_eq!(settings.port(&AUTH_SERVICE_PORT), 8089);
    assert_eq!(settings.integer(&CHUNK_SIZE_MIB), 8);
    assert_eq!(settings.choice(&LOG_LEVEL), "info");
    assert_eq!(settings.host_name(&LISTEN_HOSTNAME), "lucid.local");
    assert!(!settings.flag(&PLAIN_HTTP));
    assert!(settings.warnings().is_empty());
    assert_eq!(settings.place("log.level"), Place::Default);
}

#[test]
fn the_file_sets_values_and_the_environment_wins() {
    let toml = "data_dir = '/mnt/myssd/Lucid'\n[session-pipeline]\nchunk_size_mib = 0x10\nzstd_level = 9\n\
                [listen]\nhost = '::'\n[compat]\nplain_http = true\n[log]\nlevel = 'warn'\n";
    let settings = load(toml, &[("CHUNK_SIZE_MB", " 32 "), ("LOG_LEVEL", "DEBUG"), ("HOME", "/root")]).unwrap();
    assert_eq!(settings.path(&DATA_DIR), PathBuf::from("/mnt/myssd/Lucid"));
    assert_eq!(settings.integer(&CHUNK_SIZE_MIB), 32);
    assert_eq!(settings.integer(&ZSTD_LEVEL), 9);
    assert_eq!(settings.address(&LISTEN_HOST).to_string(), "::");
    assert!(settings.flag(&PLAIN_HTTP));
    assert_eq!(settings.choice(&LOG_LEVEL), "debug");
    assert_eq!(settings.place("log.level"), Place::Environment("LOG_LEVEL".to_owned()));
    assert!(matches!(settings.place("session-pipeline.zstd_level"), Place::File { line: 4, .. }));
}

#[test]
fn what_may_be_left_out_is_nothing_unless_it_is_set() {
    let nothing = load("[update]\nchannel = 'none'\n", &[]).unwrap();
    assert_eq!((nothing.optional(&UPDATE_CHANNEL), nothing.optional(&UPDATE_WINDOW)), (None, None));
    let set = load("[update]\nchannel = 'http://10.0.0.1/c'\nwindow = '23:00-01:00'\npinned = '1.2.3'\n", &[]).unwrap();
    assert_eq!(set.optional(&UPDATE_CHANNEL), Some("http://10.0.0.1/c"));
    assert_eq!((set.optional(&UPDATE_WINDOW), set.optional(&UPDATE_PINNED)), (Some("23:00-01:00"), Some("1.2.3")));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = load("[session-pipeline]\nchunk_size_mib = 4\n", &[("CHUNK_SIZE_MB", " ")]).unwrap();
    assert_eq!(settings.integer(&CHUNK_SIZE_MIB), 4);
}

/// File, environment, and a part of the only message.
type Refused = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const REFUSED: &[Refused] = &[
    (
        "\n[session-pipeline]\nchunk_size_mib = 65\n",
        &[],
        "lucid.toml:3: `session-pipeline.chunk_size_mib` is `65`, but must be a whole number from 1 to 64 (MiB)",
    ),
    ("[session-pipeline]\nchunk_size_mib = 0\n", &[], "from 1 to 64"),
    ("[session-pipeline]\nchunk_size_mib = -8\n", &[], "is `-8`"),
    ("[session-pipeline]\nchunk_size_mib = 8.0\n", &[], "is `8.0`"),
    ("[session-pipeline]\nchunk_size_mib = '8'\n", &[], "is `'8'`"),
    ("[session-pipeline]\nchunk_size_mib = 99999999999999999999\n", &[], "9999"),
    ("[session-pipeline]\nchunk_size_mib = [8]\n", &[], "is `[8]`"),
    ("[session-pipeline]\nchunk_size_mib = {a = 1}\n", &[], "`{a = 1}`"),
    ("", &[("CHUNK_SIZE_MB", "8MB")], "environment variable CHUNK_SIZE_MB: `session-pipeline.chunk_size_mib` is `8MB`"),
    ("", &[("CHUNK_SIZE_MB", "-1")], "is `-1`"),
    ("", &[("AUTH_SERVICE_PORT", "65536")], "must be a port"),
    ("", &[("AUTH_SERVICE_PORT", "tcp://10.0.0.1:8089")], "must be a port"),
    ("", &[("LOG_LEVEL", "LOUD")], "must be one of error, warn, info, debug, trace"),
    ("", &[("LUCID_DATA_DIR", "/a\u{fffd}b")], "must be a path"),
    ("[compat]\nplain_http = 1\n", &[], "must be true or false"),
    ("[compat]\nplain_http = 'true'\n", &[], "must be true or false"),
    ("[listen]\nhost = 'localhost'\n", &[], "must be an IP address"),
    ("[listen]\nhostname = 'a b'\n", &[], "must be a host name"),
    ("[listen]\nhostname = '-a.local'\n", &[], "must be a host name"),
    ("data_dir = ''\n", &[], "must be a path"),
    ("data_dir = \"a\\u0000b\"\n", &[], "must be a path"),
    ("data_dir = 5\n", &[], "must be a path"),
    (
        "[session-pipeline]\nchunk_size_mb = 8\n",
        &[],
        "lucid.toml:2: unknown key `session-pipeline.chunk_size_mb`; did you mean `session-pipeline.chunk_size_mib`?",
    ),
    ("chunk_size_mib = 8\n", &[], "did you mean `session-pipeline.chunk_size_mib`?"),
    ("[sesion-pipeline]\nchunk_size_mib = 8\n", &[], "unknown key `sesion-pipeline`; did you mean `session-pipeline`?"),
    ("session-pipeline = 5\n", &[], "unknown key `session-pipeline`"),
    ("[log.level]\nx = 1\n", &[], "`log.level`"),
    ("log = [{level = 'info'}]\n", &[], "unknown key `log`"),
    (
        "[session-pipeline]\nport = 8089\n",
        &[],
        "`session-pipeline.port` is 8089 (lucid.toml:2) and `auth-service.port` is 8089 (default): two services can't share a port",
    ),
    ("[thermal-watch]\nshed_c = 80\n", &[], "load is shed step by step"),
    ("[auth-service]\nrefresh_token_s = 900\n", &[], "the first must be longer"),
    ("[update]\nchannel = 'file:///etc/passwd'\n", &[], "must be none, or an http or https address"),
    ("[update]\nchannel = 'https://me:secret@example.org/'\n", &[], "without user and password"),
    ("[update]\nwindow = '2-5'\n", &[], "must be none, or a part of the day as 02:00-05:00"),
    ("[update]\npinned = 'newest'\n", &[], "must be none, or a version such as 1.2.3"),
    ("[update]\nautomatic = 'none'\n", &[], "must be true or false"),
    ("[update]\nsoak_s = 4\n", &[], "from 5 to 3600"),
    ("data_dir = '/a'\nstate_dir = '/a/.'\n", &[], "they must differ"),
    ("a = \n", &[], "lucid.toml:1: not valid TOML"),
    ("[log]\nlevel = 'info'\nlevel = 'warn'\n", &[], "lucid.toml:3: not valid TOML: duplicate key"),
];

#[test]
fn refuses_with_key_value_rule_and_place() {
    for (toml, environment, part) in REFUSED {
        let messages = messages(toml, environment);
        assert_eq!(messages.len(), 1, "{toml:?} {environment:?}: {messages:?}");
        assert!(messages[0].contains(part), "{toml:?} {environment:?}: {}", messages[0]);
    }
}

#[test]
fn all_errors_come_at_once() {
    let toml = "zzz = 1\n[log]\nlevel = 'loud'\nfile = 3\n[auth-service]\nport = 70000\n";
    let messages = messages(toml, &[("CHUNK_SIZE_MB", "x"), ("COMPRESSION_LEVEL", "20")]);
    assert_eq!(messages.len(), 6, "{messages:?}");
    let text = load(toml, &[]).unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 4 error(s); nothing was started\n  "), "{text}");
}

#[test]
fn every_broken_line_is_named() {
    let messages = messages("a = \n[log]\nlevel = info\nfile = = 3\n", &[]);
    for line in ["lucid.toml:1:", "lucid.toml:3:", "lucid.toml:4:"] {
        assert!(messages.iter().any(|message| message.starts_with(line)), "{line} {messages:?}");
    }
}

#[test]
fn a_port_of_zero_may_be_used_twice() {
    let settings = load("[auth-service]\nport = 0\n[session-api]\nport = 0\n", &[]).unwrap();
    assert_eq!(settings.port(&SESSION_API_PORT), 0);
}

#[test]
fn files_that_can_not_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lucid.toml");
    let first = |path: &Path| load_file(path, &[]).unwrap_err().0.remove(0);
    assert!(matches!(first(&path), ConfigError::Read { .. }));
    assert!(matches!(first(folder.path()), ConfigError::Read { .. }));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(first(&path), ConfigError::TooLarge { .. }));
    std::fs::write(&path, b"# fine\n\n\xff\xfe").unwrap();
    let ConfigError::Syntax { place: Place::File { line, .. }, message } = first(&path) else {
        panic!("not a syntax error");
    };
    assert_eq!((line, message.as_str()), (3, "the file is not UTF-8"));
}

#[test]
fn the_cause_of_an_unreadable_file_is_told() {
    let text = load_file(Path::new("/nonexistent/lucid.toml"), &[]).unwrap_err().to_string();
    assert!(text.contains("`/nonexistent/lucid.toml`: No such file"), "{text}");
}

#[test]
fn values_of_unknown_keys_are_never_repeated() {
    let secret = "hunter2-hunter2";
    let toml = format!("jwt_secret_key = '{secret}'\n[log]\npassword = '{secret}'\n[x]\ny = '{secret}'\n");
    let text = load(&toml, &[("JWT_SECRET_KEY", secret)]).unwrap_err().to_string();
    assert!(!text.contains(secret), "{text}");
    let broken = load(&format!("jwt_secret_key = {secret}\n"), &[]).unwrap_err().to_string();
    assert!(!broken.contains(secret), "{broken}");
    let settings = load("", &[("JWT_SECRET_KEY", secret), ("MONGODB_PASSWORD", secret)]).unwrap();
    assert!(!format!("{settings:?}{}", settings.show()).contains(secret));
}

#[test]
fn hostile_values_are_shown_on_one_short_line() {
    let long = "x\u{1b}[31m\n".repeat(1000);
    let messages = messages("", &[("LOG_LEVEL", &long)]);
    assert!(messages[0].len() < 1000 && !messages[0].contains(['\u{1b}', '\n']), "{}", messages[0]);
}

#[test]
fn obsolete_and_mistyped_variables_are_named_with_their_successor() {
    let environment =
        [("MONGODB_URL", "mongodb://x"), ("AUTH_SERVICE_PROT", "1"), ("PATH", "/bin"), ("JWT_SECRET_KEY", "")];
    let settings = load("", &environment).unwrap();
    let warnings: Vec<_> = settings.warnings().iter().map(Warning::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("AUTH_SERVICE_PROT") && warnings[0].ends_with("did you mean AUTH_SERVICE_PORT?"));
    assert!(warnings[1].contains("MONGODB_URL is not used any more: the databases are part"), "{warnings:?}");
}

#[test]
fn the_table_is_sound() {
    let paths: BTreeSet<_> = KEYS.iter().map(|key| key.about().path).collect();
    let variables: Vec<_> = KEYS.iter().filter_map(|key| key.about().env).collect();
    assert_eq!(paths.len(), KEYS.len(), "a path stands twice");
    assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len(), "a variable stands twice");
    assert!(OBSOLETE.windows(2).all(|pair| pair[0].0 < pair[1].0), "not sorted, or twice");
    for key in KEYS {
        let about = key.about();
        let default = toml::from_str::<toml::Table>(&format!("x = {}", key.default_value().to_toml())).unwrap();
        let text = default["x"].as_str().map_or_else(|| default["x"].to_string(), str::to_owned);
        assert_eq!(key.accept_text(&text), Some(key.default_value()), "{}: its default breaks its rule", about.path);
        assert!(about.doc.ends_with('.'), "{}: not a sentence", about.path);
        assert!(about.path.matches('.').count() <= 1, "{}", about.path);
        assert!(!OBSOLETE.iter().any(|(name, _)| Some(*name) == about.env), "{}: obsolete", about.path);
    }
}

/// The settings and what is wrong with the owner's file, where `owners` is that file and `file` the appliance's.
fn with_owners(
    file: &str,
    owners: Option<&str>,
    environment: &[(&str, &str)],
) -> (tempfile::TempDir, Settings, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (path, state) = (folder.path().join("given.toml"), folder.path().join("state"));
    std::fs::create_dir(&state).unwrap();
    std::fs::write(&path, format!("state_dir = '{}'\n{file}", state.display())).unwrap();
    if let Some(owners) = owners {
        std::fs::write(state.join("lucid.toml"), owners).unwrap();
    }
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (settings, errors) = Settings::load_with_owners(Some(&path), environment).unwrap();
    (folder, settings, errors.iter().flat_map(ConfigErrors::each).map(|error| cut_folder(&error)).collect())
}

#[test]
fn the_owners_file_wins_over_the_appliances_and_a_variable_over_both() {
    let given = "[session-pipeline]\nchunk_size_mib = 4\nzstd_level = 4\nchunk_close_s = 4\n";
    let owners = "[session-pipeline]\nchunk_size_mib = 6\nzstd_level = 6\n";
    let (folder, settings, errors) = with_owners(given, Some(owners), &[("COMPRESSION_LEVEL", "7")]);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(settings.integer(&CHUNK_CLOSE_S), 4);
    assert_eq!(settings.integer(&CHUNK_SIZE_MIB), 6);
    assert_eq!(settings.integer(&ZSTD_LEVEL), 7);
    let place = |name: &str, line| Place::File { path: folder.path().join(name), line };
    assert_eq!(settings.place("session-pipeline.chunk_close_s"), place("given.toml", 5));
    assert_eq!(settings.place("session-pipeline.chunk_size_mib"), place("state/lucid.toml", 2));
}

#[test]
fn without_an_owners_file_nothing_changes() {
    let (_folder, settings, errors) = with_owners("[log]\nlevel = 'warn'\n", None, &[]);
    assert!(errors.is_empty() && settings.choice(&LOG_LEVEL) == "warn");
}

/// Owner's file, and a part of the only message.
const OWNERS_REFUSED: [(&str, &str); 5] = [
    ("[log]\nlevel = 'debug'\n[session-pipeline]\nchunk_size_mib = 65\n", "is `65`"),
    ("[log]\nlevel = 'debug'\nlevl = 1\n", "unknown key `log.levl`"),
    ("state_dir = '/x'\n[log]\nlevel = 'debug'\n", "`state_dir` can't be set in a file that lies in it"),
    ("[log]\nlevel = 'debug'\n[auth-service]\nport = 8120\n", "two services can't share a port"),
    ("[log\n", "not valid TOML"),
];

#[test]
fn an_owners_file_that_is_wrong_has_no_effect_as_a_whole() {
    for (owners, part) in OWNERS_REFUSED {
        let (_folder, settings, errors) = with_owners("[log]\nlevel = 'warn'\n", Some(owners), &[]);
        assert_eq!(settings.choice(&LOG_LEVEL), "warn", "{owners}");
        assert!(errors.iter().any(|error| error.contains(part)), "{owners}: {errors:?}");
    }
}

#[test]
fn an_owners_file_that_can_not_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir_all(state.join("lucid.toml")).unwrap();
    let environment = [("LUCID_STATE_DIR".to_owned(), state.display().to_string())];
    let (_, errors) = Settings::load_with_owners(None, environment.into_iter()).unwrap();
    assert!(matches!(errors.unwrap().0.as_slice(), [ConfigError::Read { .. }]));
}

#[test]
fn a_path_of_the_appliance_is_left_to_the_program_or_set_or_none() {
    let place = |toml: &str, usual| load(toml, &[]).unwrap().place_of(&AGENT_SOCKET, usual);
    assert_eq!(place("", Some("/run/a")), Some(PathBuf::from("/run/a")));
    assert_eq!(place("", None), None);
    assert_eq!(place("[agent]\nsocket = 'none'\n", Some("/run/a")), None);
    assert_eq!(place("[agent]\nsocket = '/b'\n", None), Some(PathBuf::from("/b")));
}

#[test]
fn what_show_prints_reads_back_to_the_same() {
    let settings = load("data_dir = \"/a \\\"b\\\"\"\n[listen]\nhost = '::1'\n", &[("LOG_LEVEL", "trace")]).unwrap();
    let shown = settings.show();
    assert!(shown.contains("level = \"trace\"  # environment variable LOG_LEVEL\n"), "{shown}");
    let again = load(&shown, &[]).unwrap();
    for key in KEYS {
        assert_eq!(settings.shown(key.about().path), again.shown(key.about().path));
    }
}

#[test]
fn bytes_that_are_no_text_do_not_hide_a_variable() {
    assert!(environment::process().any(|(name, _)| name == "PATH"));
}

/// The reference is written by hand nowhere: `LUCID_BLESS=1` rewrites it.
#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("LUCID_BLESS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == reference(), "docs/configuration.md is stale: LUCID_BLESS=1 cargo nextest run -p lucid config");
}
