//! Port 80: leads every request to the same address over HTTPS, and knows nothing of who asks.

use axum::http::{HeaderMap, StatusCode, Uri, header::HOST, uri::Authority};
use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
};

/// Leads to port 443 of the name or address that was asked for.
pub(crate) fn to_https() -> Router {
    Router::new().fallback(lead)
}

async fn lead(headers: HeaderMap, uri: Uri) -> Response {
    match location(&headers, &uri) {
        Some(location) => Redirect::permanent(&location).into_response(),
        None => (StatusCode::BAD_REQUEST, "Open the dashboard with https:// and its address.\n").into_response(),
    }
}

/// Where to; none where the request does not say by which name it was sent.
fn location(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let authority: Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    let host = Some(authority.host()).filter(|host| !host.is_empty())?;
    Some(format!("https://{host}{}", uri.path_and_query().map_or("/", |path| path.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_is_led_to_and_no_other() {
        let led = |host: &str, uri: &str| {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            location(&headers, &uri.parse().unwrap())
        };
        assert_eq!(led("lucid-ab12.local", "/a?b=c").unwrap(), "https://lucid-ab12.local/a?b=c");
        assert_eq!(led("192.168.1.20:80", "/").unwrap(), "https://192.168.1.20/");
        assert_eq!(led("[fd00::1]:80", "/").unwrap(), "https://[fd00::1]/");
        assert_eq!(led("a.local", "//evil.example/x").unwrap(), "https://a.local//evil.example/x");
        assert_eq!(led("user:word@a.local", "/").unwrap(), "https://a.local/", "nothing is passed on but the host");
        for bad in ["", "a b", "a/b", ":80", "a.local#x"] {
            assert_eq!(led(bad, "/"), None, "{bad}");
        }
        assert_eq!(location(&HeaderMap::new(), &"/".parse().unwrap()), None);
    }
}
