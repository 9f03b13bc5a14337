//! Environment variables of the original system that nothing reads any more, and what takes their place.
//!
//! Only data. A variable that is a setting must never stand here.

/// Why an address of a database is gone.
const BUILT_IN: &str = "the databases are part of the one program and keep their data below data_dir";
/// Why an address of another service is gone.
const ONE_PROGRAM: &str = "services find each other inside the one program; only their ports can be set";
/// Why secrets are gone.
const SECRET: &str = "secrets are made on the first start and lie in state_dir; remove it from the environment";
/// Why paths of single services are gone.
const BELOW_DATA_DIR: &str = "every service has its own folder below data_dir (LUCID_DATA_DIR)";
/// Why health checks are gone.
const SUPERVISED: &str = "health checks are part of the supervisor and need no setting";

/// Name and what to do instead, sorted by name.
pub(crate) static OBSOLETE: &[(&str, &str)] = &[
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "set auth-service.access_token_s (JWT_EXPIRATION), in seconds"),
    ("API_HOST", "set listen.host (LUCID_LISTEN_HOST)"),
    ("API_PORT", "every service has a port of its own, such as BLOCKCHAIN_ENGINE_PORT"),
    ("AUTH_SERVICE_URL", ONE_PROGRAM),
    ("BACKUPS_ROOT", BELOW_DATA_DIR),
    ("BCRYPT_ROUNDS", "passwords are kept with Argon2id, whose cost is fixed"),
    ("BLOCKCHAIN_DATA_DIR", BELOW_DATA_DIR),
    ("BLOCKCHAIN_ENGINE_URL", ONE_PROGRAM),
    ("BLOCK_STORAGE_PATH", BELOW_DATA_DIR),
    ("CHUNK_STORAGE_PATH", BELOW_DATA_DIR),
    ("CONSUL_HOST", ONE_PROGRAM),
    ("CONSUL_HTTP_ADDR", ONE_PROGRAM),
    ("CONSUL_PORT", ONE_PROGRAM),
    ("DATA_ROOT", "set data_dir (LUCID_DATA_DIR)"),
    ("DEBUG", "set log.level to debug (LOG_LEVEL)"),
    ("ELASTICSEARCH_HOST", BUILT_IN),
    ("ELASTICSEARCH_PASSWORD", SECRET),
    ("ELASTICSEARCH_PORT", BUILT_IN),
    ("ELASTICSEARCH_URI", BUILT_IN),
    ("ELASTICSEARCH_URL", BUILT_IN),
    ("ENCRYPTION_KEY", SECRET),
    ("HEALTH_CHECK_INTERVAL", SUPERVISED),
    ("HEALTH_CHECK_RETRIES", SUPERVISED),
    ("HEALTH_CHECK_START_PERIOD", SUPERVISED),
    ("HEALTH_CHECK_TIMEOUT", SUPERVISED),
    ("JWT_ALGORITHM", "tokens are always signed with HS256"),
    ("JWT_SECRET", SECRET),
    ("JWT_SECRET_KEY", SECRET),
    ("KEY_ENC_SECRET", SECRET),
    ("LOGIN_COOLDOWN_MINUTES", "set auth-service.login_window_s, in seconds"),
    ("LOGS_ROOT", BELOW_DATA_DIR),
    ("LOG_DIR", BELOW_DATA_DIR),
    ("LOG_FILE_PATH", "log files lie below data_dir; log.file turns them on and off"),
    ("LOG_FORMAT", "log files are JSON lines, the terminal is for people"),
    ("LUCID_CHUNK_OUTPUT_PATH", BELOW_DATA_DIR),
    ("LUCID_CHUNK_SIZE_MB", "set session-pipeline.chunk_size_mib (CHUNK_SIZE_MB)"),
    ("LUCID_COMPRESSION_LEVEL", "set session-pipeline.zstd_level (COMPRESSION_LEVEL)"),
    ("LUCID_RECORDING_PATH", BELOW_DATA_DIR),
    ("MERKLE_STORAGE_PATH", BELOW_DATA_DIR),
    ("MONGODB_HOST", BUILT_IN),
    ("MONGODB_PASSWORD", SECRET),
    ("MONGODB_PORT", BUILT_IN),
    ("MONGODB_ROOT_PASSWORD", SECRET),
    ("MONGODB_URI", BUILT_IN),
    ("MONGODB_URL", BUILT_IN),
    ("MONGO_URI", BUILT_IN),
    ("MONGO_URL", BUILT_IN),
    ("REDIS_HOST", BUILT_IN),
    ("REDIS_PASSWORD", SECRET),
    ("REDIS_PORT", BUILT_IN),
    ("REDIS_URI", BUILT_IN),
    ("REDIS_URL", BUILT_IN),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "set auth-service.refresh_token_s, in seconds"),
    ("SESSION_STORAGE_PATH", BELOW_DATA_DIR),
    ("TLS_ENABLED", "TLS is always on; compat.plain_http allows plain HTTP besides"),
    ("UVICORN_WORKERS", "the program uses all cores by itself"),
];
