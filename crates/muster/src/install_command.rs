//! The one line with which a host installs the agent and joins.
//!
//! It fetches the server's script without trusting the connection, compares its SHA-256 with the one in the line, and only
//! then runs it; what the script fetches is compared with hashes in the script. So the line alone has to be trusted, and
//! that was shown to somebody who had signed in. The token goes to the script through its input: command lines can be read
//! by every account of a host. The page makes the same line (`web/src/domain/joining.ts`).

/// The line for a POSIX shell. `sha256` is that of the server's `/install.sh`.
pub(crate) fn install_command(
    server: &str,
    token: &str,
    ca_fingerprint: Option<&str>,
    sha256: &str,
) -> String {
    let pin = ca_fingerprint.map(|pin| format!(" --ca-fingerprint {pin}")).unwrap_or_default();
    let script = format!("{}/install.sh", server.trim_end_matches('/'));
    format!(
        "s=\"$(curl -fsSLk {script} || wget -qO- --no-check-certificate {script})\"; \
         if [ \"$(printf '%s\\n' \"$s\" | sha256sum | cut -c1-64)\" = {sha256} ]; \
         then printf 'MUSTER_TOKEN=%s\\n%s\\n' {token} \"$s\" | $(command -v sudo) sh -s -- --server {server}{pin}; \
         else echo 'not the script that this command was made for: make a new command' >&2; false; fi"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_stands_in_no_command_line_and_the_hash_in_the_line() {
        let line = install_command("https://m:6868/", "T", Some("sha256:ab"), "0f");
        assert_eq!(
            line,
            "s=\"$(curl -fsSLk https://m:6868/install.sh || wget -qO- --no-check-certificate https://m:6868/install.sh)\"; \
             if [ \"$(printf '%s\\n' \"$s\" | sha256sum | cut -c1-64)\" = 0f ]; \
             then printf 'MUSTER_TOKEN=%s\\n%s\\n' T \"$s\" | $(command -v sudo) sh -s -- --server https://m:6868/ --ca-fingerprint sha256:ab; \
             else echo 'not the script that this command was made for: make a new command' >&2; false; fi"
        );
        assert!(!install_command("http://m", "T", None, "0f").contains("fingerprint"));
    }
}
