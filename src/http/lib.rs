//! Listeners of the box: TLS by the first byte, connection limits, problem+json, health, bearer tokens.
