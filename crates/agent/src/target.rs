//! The server's address, from what a person typed to what is connected to.

use muster_wire::CONNECT_PATH;
use tokio_tungstenite::tungstenite::http::Uri;

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} is no address of a server: {reason}; write it like https://muster.example.org:6868"
)]
pub struct TargetError {
    /// The address as given.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Where and how to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name or address, without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// What the WebSocket's handshake asks for.
    pub(crate) websocket_url: String,
}

impl Target {
    /// Reads `http(s)://host[:port][/prefix]`.
    pub(crate) fn parse(url: &str) -> Result<Self, TargetError> {
        let refuse = |reason: &str| TargetError { url: url.into(), reason: reason.into() };
        let uri: Uri = url.parse().map_err(|_| refuse("it is malformed"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("it must begin with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("no host"))?;
        if uri.query().is_some() {
            return Err(refuse("a query is of no use here"));
        }
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        if authority.contains('@') {
            return Err(refuse("a user name is of no use here"));
        }
        let scheme = if tls { "wss" } else { "ws" };
        let prefix = uri.path().trim_end_matches('/');
        Ok(Self {
            host: host.trim_matches(['[', ']']).into(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            websocket_url: format!("{scheme}://{authority}{prefix}{CONNECT_PATH}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, host: &str, port: u16, websocket_url: &str) {
        let expected = Target {
            host: host.into(),
            port,
            tls: websocket_url.starts_with("wss"),
            websocket_url: websocket_url.into(),
        };
        assert_eq!(Target::parse(url), Ok(expected));
    }

    #[test]
    fn addresses() {
        check("http://srv:6868", "srv", 6868, "ws://srv:6868/agent/v1/connect");
        check("https://srv/", "srv", 443, "wss://srv/agent/v1/connect");
        check("https://[::1]:9/m/", "::1", 9, "wss://[::1]:9/m/agent/v1/connect");
    }

    #[test]
    fn refusals() {
        for url in ["srv:6868", "ftp://srv", "http://", "", "http://a@srv", "http://srv/?x=1"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
