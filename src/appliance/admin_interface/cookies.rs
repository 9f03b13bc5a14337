//! The two cookies of a log-in (RFC 6265).
//!
//! Both are `HttpOnly` and `SameSite=Strict`: no script reads them and no foreign page sends them. They carry no
//! expiry: the tokens in them expire, and closing the browser logs out.

use http::{HeaderMap, HeaderValue, header::COOKIE};
use lucid_http::bearer::SESSION_COOKIE;
use lucid_ports::Tokens;

/// Holds the refresh token. Read by the dashboard only.
pub(super) const REFRESH_COOKIE: &str = "lucid_refresh";
/// Longest value looked at, in bytes: a compact JWT of ours is under 1 KiB.
const VALUE_BYTES_MAX: usize = 4096;

/// The value of a cookie. The first one counts, as in [`lucid_http::bearer`].
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(found, _)| *found == name).map(|(_, value)| value);
    found.filter(|value| !value.is_empty() && value.len() <= VALUE_BYTES_MAX)
}

/// The cookies that log in.
pub(super) fn log_in(tokens: &Tokens, is_secure: bool) -> [Option<HeaderValue>; 2] {
    [
        cookie(SESSION_COOKIE, &tokens.access_token, is_secure, ""),
        cookie(REFRESH_COOKIE, &tokens.refresh_token, is_secure, ""),
    ]
}

/// The cookies that log out.
pub(super) fn log_out(is_secure: bool) -> [Option<HeaderValue>; 2] {
    [SESSION_COOKIE, REFRESH_COOKIE].map(|name| cookie(name, "", is_secure, "; Max-Age=0"))
}

/// Nothing where the value can't stand in a header; a token of ours always can.
fn cookie(name: &str, value: &str, is_secure: bool, more: &str) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
