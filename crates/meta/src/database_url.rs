//! The address of a MariaDB, MySQL or PostgreSQL database, which may hold a password and so is never shown whole.

use std::fmt;
use std::str::FromStr;

use sea_orm::sqlx::mysql::MySqlConnectOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;

/// What may stand after the `?`: the names for how TLS is used, and for sockets.
const PARAMETERS: [&str; 12] = [
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslrootcert",
    "ssl-root-cert",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "socket",
    "host",
];

/// Where a database server is, who signs in there, and which of its databases is Muster's.
///
/// `Display` and `Debug` show it without its password and its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    shown: String,
    server: Server,
}

/// The two kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    MariaDb,
    Postgres,
}

/// Why a text is no such address. No message repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another kind of database.
    #[error(
        "the database URL begins with {0:?}; write postgres://USER:PASSWORD@HOST/DATABASE or mysql://USER:PASSWORD@HOST/DATABASE, \
         or leave it out for a SQLite file in the data folder"
    )]
    Scheme(String),
    /// No name after the host.
    #[error(
        "the database URL names no database; write its name after the host, as in postgres://USER:PASSWORD@HOST/muster"
    )]
    NoDatabase,
    /// A parameter that means nothing.
    #[error("the database URL has the unknown parameter {name:?}; known are {}", PARAMETERS.join(", "))]
    Parameter {
        /// Its name.
        name: String,
    },
    /// It cannot be read.
    #[error(
        "the database URL cannot be read: {0}; signs such as @ : / ? # in a password are written as %40 %3A %2F %3F %23"
    )]
    Malformed(String),
}

impl DatabaseUrl {
    /// The whole address, with its password.
    pub(crate) fn secret_url(&self) -> &str {
        &self.url
    }

    pub(crate) fn server(&self) -> Server {
        self.server
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (server, scheme) = match scheme {
            "postgres" | "postgresql" => (Server::Postgres, "postgres"),
            "mysql" | "mariadb" => (Server::MariaDb, "mysql"),
            other => {
                let is_word = other.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let shown = if is_word { other } else { "" };
                return Err(DatabaseUrlError::Scheme(shown.to_owned()));
            }
        };
        if let Some((_, query)) = rest.split_once('?') {
            let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(n, _)| n));
            if let Some(name) = names.into_iter().find(|name| !PARAMETERS.contains(name)) {
                return Err(DatabaseUrlError::Parameter { name: name.to_owned() });
            }
        }
        let url = format!("{scheme}://{rest}");
        let malformed = |error: &dyn fmt::Display| DatabaseUrlError::Malformed(error.to_string());
        let (user, host, port, database) = match server {
            Server::Postgres => {
                let options = PgConnectOptions::from_str(&url).map_err(|e| malformed(&e))?;
                let database = options.get_database().map(str::to_owned);
                let host = options.get_socket().map_or_else(
                    || options.get_host().to_owned(),
                    |socket| socket.display().to_string(),
                );
                (options.get_username().to_owned(), host, options.get_port(), database)
            }
            Server::MariaDb => {
                let options = MySqlConnectOptions::from_str(&url).map_err(|e| malformed(&e))?;
                let database = options.get_database().map(str::to_owned);
                let host = options.get_socket().map_or_else(
                    || options.get_host().to_owned(),
                    |socket| socket.display().to_string(),
                );
                (options.get_username().to_owned(), host, options.get_port(), database)
            }
        };
        let database =
            database.filter(|name| !name.is_empty()).ok_or(DatabaseUrlError::NoDatabase)?;
        let shown = format!("{scheme}://{user}@{host}:{port}/{database}");
        Ok(Self { url, shown, server })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        let url: DatabaseUrl = text.parse().unwrap();
        assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn it_is_shown_without_its_password() {
        check("postgres://muster:s3cret@db/muster", "postgres://muster@db:5432/muster");
        check("postgresql://m:s3c%40ret@[::1]:7/x?sslmode=require", "postgres://m@[::1]:7/x");
        check("mysql://muster:s3cret@db:3307/muster", "mysql://muster@db:3307/muster");
        check("mariadb://m@db/muster?ssl-mode=VERIFY_IDENTITY", "mysql://m@db:3306/muster");
        check("mysql://m@localhost/muster?socket=/run/m.sock", "mysql://m@/run/m.sock:3306/muster");
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_repeating_a_password() {
        check_refused("oracle://m:s3cret@db/x", "begins with \"oracle\"");
        check_refused("m:s3cret@db/x", "begins with \"\"");
        check_refused("m:s3cret@db://x", "begins with \"\"");
        check_refused("mysql://m:s3cret@db", "names no database");
        check_refused("mysql://m:s3cret@db/x?sslmod=REQUIRED", "unknown parameter \"sslmod\"");
        check_refused("postgres://m:s3cret@db/x?sslmode=maybe", "cannot be read");
        check_refused("postgres://m:s3cret@db:port/x", "cannot be read");
    }
}
