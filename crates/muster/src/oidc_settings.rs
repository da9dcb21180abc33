//! The identity provider where people may sign in too: the table `[oidc]` of the configuration file.
//!
//! ```toml
//! [oidc]
//! name = "Example"                      # what the sign-in page calls it
//! issuer = "https://id.example/realms/main"
//! client_id = "muster"
//! client_secret = "…"                   # or MUSTER_OIDC_CLIENT_SECRET
//! public_url = "https://muster.example" # where browsers reach this server
//! role_claim = "groups"
//! default_role = "viewer"               # without it, whom no group gives a role is sent away
//!
//! [oidc.roles]
//! monitoring-admins = "admin"
//! ```

use anyhow::{Context as _, bail};
use muster_meta::Role;
use muster_server::{OidcConfig, nearest};
use toml::{Table, Value};

const KEYS: [&str; 10] = [
    "name",
    "issuer",
    "client_id",
    "client_secret",
    "public_url",
    "scopes",
    "ca_file",
    "role_claim",
    "default_role",
    "roles",
];
/// The variable that holds the client's secret, so that no file has to.
const SECRET_VARIABLE: &str = "MUSTER_OIDC_CLIENT_SECRET";

/// What the table says; the secret is that of the environment, if there is one.
pub(crate) fn oidc(table: &Table) -> anyhow::Result<OidcConfig> {
    let secret = match std::env::var(SECRET_VARIABLE) {
        Ok(secret) => Some(secret).filter(|secret| !secret.is_empty()),
        Err(std::env::VarError::NotPresent) => None,
        Err(error) => bail!("{SECRET_VARIABLE}: {error}"),
    };
    let mut config = parse(table)?;
    config.client_secret = secret.or(config.client_secret);
    Ok(config)
}

fn parse(table: &Table) -> anyhow::Result<OidcConfig> {
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!("unknown key {key:?}; did you mean {:?}?", nearest(key, &KEYS));
    }
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => bail!("{key} must be a text in quotes"),
    };
    let required = |key: &str| text(key)?.with_context(|| format!("{key} is missing"));
    let scopes = match table.get("scopes") {
        None => vec!["profile".to_owned(), "email".to_owned()],
        Some(value) => {
            let list = value.clone().try_into::<Vec<String>>();
            list.context("scopes must be a list of texts, such as [\"profile\", \"groups\"]")?
        }
    };
    let config = OidcConfig {
        name: text("name")?.unwrap_or_else(|| "OpenID Connect".into()),
        issuer: required("issuer")?,
        client_id: required("client_id")?,
        client_secret: text("client_secret")?,
        public_url: required("public_url")?,
        scopes,
        ca_file: text("ca_file")?.map(Into::into),
        role_claim: text("role_claim")?.unwrap_or_else(|| "groups".into()),
        roles: roles(table)?,
        default_role: text("default_role")?.as_deref().map(role).transpose()?,
    };
    if config.roles.is_empty() && config.default_role.is_none() {
        bail!(
            "nobody could come in: give a default_role, or values of {:?} their roles in [oidc.roles]",
            config.role_claim
        );
    }
    Ok(config)
}

fn roles(table: &Table) -> anyhow::Result<Vec<(String, Role)>> {
    let pairs = match table.get("roles") {
        None => return Ok(Vec::new()),
        Some(Value::Table(pairs)) => pairs,
        Some(_) => {
            bail!("roles must be a table, such as [oidc.roles] with monitoring-admins = \"admin\"")
        }
    };
    let pair = |(value, name): (&String, &Value)| {
        let name =
            name.as_str().with_context(|| format!("the role of {value:?} must be a text"))?;
        Ok((value.clone(), role(name)?))
    };
    pairs.iter().map(pair).collect()
}

fn role(name: &str) -> anyhow::Result<Role> {
    match name.parse()? {
        Role::Writer => {
            bail!("the role writer is for tokens only; people are viewer, operator or admin")
        }
        role => Ok(role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issuer = 'https://id.example'\nclient_id = 'muster'\nclient_secret = 's'\n\
                        public_url = 'https://muster.example'\n";

    #[track_caller]
    fn check(more: &str, complaint: &str) {
        let error = parse(&format!("{GOOD}{more}").parse().unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains(complaint), "{error:#}");
    }

    #[test]
    fn a_table_is_read() {
        let text =
            format!("{GOOD}default_role = 'viewer'\n[roles]\nroot = 'admin'\nstaff = 'viewer'");
        let config = parse(&text.parse().unwrap()).unwrap();
        assert_eq!(config.role_claim, "groups");
        assert_eq!(config.scopes, ["profile", "email"]);
        assert_eq!(config.default_role, Some(Role::Viewer));
        assert_eq!(config.roles.len(), 2);
        assert!(config.roles.contains(&("root".into(), Role::Admin)));
    }

    #[test]
    fn what_cannot_work_is_told() {
        check("", "nobody could come in");
        check("default_role = 'writer'", "for tokens only");
        check("default_role = 'root'", "viewer, operator, admin");
        check("isuer = 'x'", "did you mean \"issuer\"?");
        check("scopes = 'profile'", "list of texts");
        check("[roles]\na = 1", "must be a text");
        let error = parse(&"default_role = 'viewer'".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("issuer is missing"));
    }
}
