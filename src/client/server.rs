//! The address of an appliance, in one spelling, so that credentials are found again.
//!
//! Plain HTTP is accepted for this very machine only: elsewhere a password would cross the network readable.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Scheme, host and port of an appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(Url);

/// Why a text is not the address of a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not a URL at all.
    #[error("`{0}` is not the address of a server; give one such as https://lucid.local or 192.168.1.20:8083")]
    Malformed(String),
    /// A scheme other than http and https.
    #[error("`{0}` has another scheme than https")]
    Scheme(String),
    /// A path, query, user or fragment.
    #[error("`{0}` has more than a host and a port; give only those, such as https://lucid.local:8083")]
    MoreThanHost(String),
    /// http:// to another machine.
    #[error("`{0}` would send passwords and recordings unencrypted; use https (http is for this machine only)")]
    Plain(String),
}

impl FromStr for Server {
    type Err = ServerError;

    /// Reads `https://host:port`; without a scheme https is meant.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        let text = text.trim();
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| ServerError::Malformed(text.to_owned()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(ServerError::Scheme(text.to_owned()));
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            // The text may hold a password: only the host is repeated.
            return Err(ServerError::MoreThanHost(url.host_str().unwrap_or_default().to_owned()));
        }
        let server = Self(url);
        if !server.is_tls() && !server.is_this_machine() {
            return Err(ServerError::Plain(text.to_owned()));
        }
        Ok(server)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Server {
    /// Whether TLS is spoken.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }

    fn is_this_machine(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests;
