//! Command lines for other eyes: what looks like a secret is `***`.
//!
//! There is no telling what a program takes for a secret, so this hides rather too much: behind a name
//! that says password, token, key or the like, the rest of the argument goes; behind such an option, the
//! next argument; what stands before the `@` of an address; and what some known programs take as
//! passwords by short options.

/// Longest command line that is shown, in bytes.
pub(crate) const MAX_BYTES: usize = 256;
/// What stands for a secret.
const HIDDEN: &str = "***";

/// A name that has one of these in it is a secret's.
const IN_NAMES: [&str; 9] = [
    "passw",
    "passphrase",
    "passin",
    "passout",
    "secret",
    "token",
    "apikey",
    "credential",
    "authoriz",
];
/// A name of which one of these is a part of its own, or which ends in it, is a secret's.
const PARTS: [&str; 13] = [
    "pass",
    "pwd",
    "pw",
    "key",
    "auth",
    "sig",
    "signature",
    "sas",
    "cookie",
    "psk",
    "pin",
    "otp",
    "pat",
];
/// Words after which a secret follows without any sign.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// A short option by which a program takes a password.
struct Flag {
    /// How the names of the programs begin.
    programs: &'static str,
    option: &'static str,
    /// Whether the password is the next argument where nothing follows in this one.
    takes_next: bool,
}

const fn flag(programs: &'static str, option: &'static str, takes_next: bool) -> Flag {
    Flag { programs, option, takes_next }
}

static FLAGS: [Flag; 12] = [
    flag("mysql", "-p", false),
    flag("mariadb", "-p", false),
    flag("sshpass", "-p", true),
    flag("mongo", "-p", true),
    flag("redis-cli", "-a", true),
    flag("curl", "-u", true),
    flag("curl", "--user", true),
    flag("curl", "--proxy-user", true),
    flag("ldap", "-w", true),
    flag("smbclient", "-U", true),
    flag("snmp", "-c", true),
    flag("xfreerdp", "/p:", true),
];

/// The command line of `/proc/PID/cmdline`, without secrets, on one line of at most [`MAX_BYTES`].
pub(crate) fn command_line(arguments: &[u8]) -> String {
    let text = String::from_utf8_lossy(arguments);
    let mut out = String::new();
    let mut scrubber = Scrubber::default();
    for argument in text.trim_end_matches('\0').split('\0') {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(
            scrubber.argument(argument).chars().map(|c| if c.is_control() { ' ' } else { c }),
        );
        // What lies beyond is not shown, so it need not be looked at.
        if out.len() > MAX_BYTES {
            break;
        }
    }
    out.truncate(out.floor_char_boundary(MAX_BYTES));
    out
}

/// Goes through the arguments of one command line.
#[derive(Default)]
struct Scrubber {
    /// Whether the argument before this one says that this is a secret.
    hides_next: bool,
    /// The flags of the program that was named last.
    program: String,
}

impl Scrubber {
    fn argument(&mut self, argument: &str) -> String {
        if std::mem::take(&mut self.hides_next) {
            return HIDDEN.to_owned();
        }
        let by_name = end_by_name(argument);
        let by_flag = self.end_by_flag(argument);
        let end = by_name.into_iter().chain(by_flag).min();
        let shown = end.map_or(argument, |end| &argument[..end]);
        // Behind the end may be nothing: then the secret is the next argument.
        self.hides_next = end == Some(argument.len());
        let mut out = without_credentials(shown);
        if end.is_some() && !self.hides_next {
            out.push_str(HIDDEN);
        }
        out
    }

    /// Where the secret begins that a short option of a known program takes.
    fn end_by_flag(&mut self, argument: &str) -> Option<usize> {
        let mut at = 0;
        for word in argument.split_inclusive(char::is_whitespace) {
            let start = at;
            at += word.len();
            let word = word.trim_end();
            for flag in FLAGS.iter().filter(|flag| self.program.starts_with(flag.programs)) {
                if word == flag.option {
                    if flag.takes_next {
                        return Some(at.min(argument.len()));
                    }
                } else if word.starts_with(flag.option) {
                    return Some(start + flag.option.len());
                }
            }
            let name = word.rsplit('/').next().unwrap_or(word);
            if FLAGS.iter().any(|flag| name.starts_with(flag.programs)) {
                name.clone_into(&mut self.program);
            }
        }
        None
    }
}

/// Where the secret begins that a name in this argument announces.
fn end_by_name(argument: &str) -> Option<usize> {
    let mut at = 0;
    while at < argument.len() {
        let rest = &argument[at..];
        let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        if length == 0 {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let (name, end) = (&rest[..length], at + length);
        let after = &argument[end..];
        let sign = after.find(|c: char| !matches!(c, '"' | '\'' | '\\' | ' ' | ']'));
        let is_scheme = SCHEMES.iter().any(|scheme| name.eq_ignore_ascii_case(scheme));
        if is_secret_name(name) || is_scheme {
            match sign {
                // An address has its own rule, and its scheme is no name.
                Some(sign) if after[sign..].starts_with("://") => {}
                Some(sign) if after[sign..].starts_with(['=', ':']) => {
                    return Some(end + sign + 1).filter(|end| *end < argument.len());
                }
                Some(sign) if sign > 0 && (name.starts_with('-') || is_scheme) => {
                    return Some(end + sign);
                }
                None if name.starts_with('-') || is_scheme => return Some(argument.len()),
                _ => {}
            }
        }
        at = end;
    }
    None
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_part = |part: &str| PARTS.contains(&part);
    IN_NAMES.iter().any(|secret| name.contains(secret))
        || name.split(['_', '-', '.']).any(is_part)
        || ["key", "pass", "pwd", "auth"].iter().any(|end| name.ends_with(end))
}

/// The text with nothing between `://` and `@`, nor between `:` and `@`, in any of its words.
fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let credentials = word.rfind('@').and_then(|end| {
            let begin = match word[..end].find("://") {
                Some(scheme) => scheme + 3,
                None => word[..end].find(':')? + 1,
            };
            Some((begin, end))
        });
        match credentials {
            Some((begin, end)) => {
                out.push_str(&word[..begin]);
                out.push_str(HIDDEN);
                out.push_str(&word[end..]);
            }
            None => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(arguments: &[&str]) -> String {
        let joined: String = arguments.iter().flat_map(|a| [a, "\0"]).collect();
        command_line(joined.as_bytes())
    }

    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        assert_eq!(line(arguments), expected);
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        check(&["/usr/sbin/nginx", "-g", "daemon off;"], "/usr/sbin/nginx -g daemon off;");
        check(&["rsync", "a", "me@host:/srv"], "rsync a me@host:/srv");
        check(&["curl", "https://host:8443/a?b=c"], "curl https://host:8443/a?b=c");
        check(&["sshd: root@pts/0"], "sshd: root@pts/0");
        check(&["tar", "--author=x", "--passive"], "tar --author=x --passive");
        check(&["docker", "run", "-p", "80:80"], "docker run -p 80:80");
        check(&["mysql", "-p", "db"], "mysql -p db");
        check(&["a\tb\nc"], "a b c");
        check(&[""], "");
    }

    #[test]
    fn values_behind_names() {
        check(&["a", "--password=x y", "b"], "a --password=*** b");
        check(&["a", "--token", "x", "b"], "a --token *** b");
        check(&["a", "PGPASSWORD=x"], "a PGPASSWORD=***");
        check(&["java", "-Dspring.datasource.password=x"], "java -Dspring.datasource.password=***");
        check(&["a", "--ssl-key", "/etc/x"], "a --ssl-key ***");
        check(&["a", "AccountName=n;AccountKey=x=="], "a AccountName=n;AccountKey=***");
        check(&["curl", "-d", "{\"password\": \"x\"}"], "curl -d {\"password\":***");
        check(&["curl", "-H", "Authorization: Bearer x"], "curl -H Authorization:***");
        check(&["curl", "-H", "X: bearer x"], "curl -H X: bearer ***");
        check(&["curl", "https://h/?api_key=x&b=1"], "curl https://h/?api_key=***");
        check(&["sh", "-c", "a --password 'x' b"], "sh -c a --password '***");
    }

    #[test]
    fn credentials_in_addresses() {
        check(&["a", "postgres://u:p@h/db"], "a postgres://***@h/db");
        check(&["a", "https://x@h", "u:p@tcp(h)/db"], "a https://***@h u:***@tcp(h)/db");
        check(&["a", "redis://:p/@w@h:1"], "a redis://***@h:1");
    }

    #[test]
    fn short_options_of_known_programs() {
        check(&["mysqldump", "-uroot", "-px", "db"], "mysqldump -uroot -p*** db");
        check(&["/bin/sshpass", "-p", "x", "ssh"], "/bin/sshpass -p *** ssh");
        check(&["sh", "-c", "curl -u me:x h"], "sh -c curl -u ***");
        check(&["curl", "-u", "me:x", "h"], "curl -u *** h");
    }

    proptest! {
        #[test]
        fn secrets_are_not_shown(
            secret in "[A-Za-z0-9!$%^*+/=,;|~-]{8,24}",
            before in prop::collection::vec("[a-z/. -]{0,12}", 0..3),
            form in 0_usize..16,
        ) {
            let secret = format!("Zq{secret}");
            let forms = [
                vec![format!("--password={secret}")], vec!["--password".into(), secret.clone()],
                vec!["--auth-token".into(), secret.clone()], vec![format!("API_KEY={secret}")],
                vec![format!("key={secret}")], vec![format!("--db.pwd:{secret}")],
                vec![format!("https://user:{secret}@host/")], vec![format!("https://{secret}@host/")],
                vec![format!("u:{secret}@tcp(h)/d")], vec![format!("Authorization: Basic {secret}")],
                vec!["-H".into(), format!("x-api-key: {secret}")],
                vec![format!("a --token {secret} b")], vec![format!("a --token='{secret}' b")],
                vec!["mysql".into(), format!("-p{secret}")], vec!["curl".into(), "-u".into(), secret.clone()],
                vec![format!("{{\"client_secret\" : \"{secret}\"}}")],
            ];
            let mut arguments: Vec<&str> = before.iter().map(String::as_str).collect();
            arguments.extend(forms[form].iter().map(String::as_str));
            let shown = line(&arguments);
            prop_assert!(!shown.contains(&secret[..6]), "{shown}");
        }

        #[test]
        fn any_bytes_make_a_short_line(bytes: Vec<u8>) {
            let shown = command_line(&bytes);
            prop_assert!(shown.len() <= MAX_BYTES && !shown.chars().any(char::is_control));
        }
    }
}
