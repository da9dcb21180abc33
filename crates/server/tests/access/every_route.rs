//! Every route of the table, asked for by everybody there is.
//!
//! What the table says of a route is held against what the running server does, so a handler that forgets to take a
//! permission fails here, and so does one that takes another than the table says.

use muster_meta::Role;
use muster_server::{Access, Route};
use reqwest::StatusCode;

use crate::server::{NOW_MS, Proof, Server};

/// Somebody who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    /// With a token that was never made.
    Stranger,
    /// With a token of an administrator that has expired.
    Late,
    /// With a session that was never opened.
    Forger,
    Token(Role),
    Session(Role),
}

const EVERYBODY: [Who; 11] = [
    Who::Nobody,
    Who::Stranger,
    Who::Late,
    Who::Forger,
    Who::Token(Role::Writer),
    Who::Token(Role::Viewer),
    Who::Token(Role::Operator),
    Who::Token(Role::Admin),
    Who::Session(Role::Viewer),
    Who::Session(Role::Operator),
    Who::Session(Role::Admin),
];

/// What is to happen to somebody.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// 401
    Unknown,
    /// 403
    Forbidden,
    /// Anything else: what is asked for may be wrong, but not who asks.
    LetIn,
}

fn fate(access: Access, who: Who) -> Fate {
    let (role, person) = match who {
        Who::Token(role) => (role, false),
        Who::Session(_) if access == Access::Pusher => return Fate::Unknown,
        Who::Session(role) => (role, true),
        _ if matches!(access, Access::Anyone | Access::Agent) => return Fate::LetIn,
        _ => return Fate::Unknown,
    };
    let allowed = match access {
        Access::Anyone | Access::Agent | Access::SignedIn => true,
        Access::Person => person,
        Access::Reader => role != Role::Writer,
        Access::Operator => matches!(role, Role::Operator | Role::Admin),
        Access::Administrator => role == Role::Admin,
        Access::Pusher => role != Role::Viewer,
    };
    if allowed { Fate::LetIn } else { Fate::Forbidden }
}

async fn proof(server: &Server, who: Who) -> Proof {
    match who {
        Who::Nobody => Proof::Nothing,
        Who::Stranger => Proof::Token("muster_t_never-made".into()),
        Who::Late => server.token(Role::Admin, Some(NOW_MS)).await,
        Who::Forger => Proof::Session("muster_session=muster_s_never-opened".into()),
        Who::Token(role) => server.token(role, None).await,
        Who::Session(role) => server.session(role).await,
    }
}

/// The path with something in the place of each parameter.
fn address(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let server = Server::start().await;
    let mut wrong = Vec::new();
    for route in muster_server::routes() {
        for who in EVERYBODY {
            // Anew for each request: one of them is to sign out.
            let proof = proof(&server, who).await;
            let request = server.request(route.method.clone(), &address(&route), &proof);
            let found = match request.send().await.unwrap().status() {
                StatusCode::UNAUTHORIZED => Fate::Unknown,
                StatusCode::FORBIDDEN => Fate::Forbidden,
                StatusCode::NOT_FOUND if !route.path.contains('{') => {
                    panic!("{} is not served", route.path)
                }
                status => {
                    assert!(status.as_u16() != 500, "{route:?} fails for {who:?}");
                    Fate::LetIn
                }
            };
            let expected = fate(route.access, who);
            if found != expected {
                wrong.push(format!(
                    "{} {}: {who:?} is {found:?}, not {expected:?}",
                    route.method, route.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.running.stop().await;
}

#[tokio::test]
async fn no_page_of_another_site_changes_anything() {
    let server = Server::start().await;
    let origins = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for route in muster_server::routes() {
        let reads = route.method == reqwest::Method::GET;
        if reads || matches!(route.access, Access::Pusher | Access::Agent) {
            continue;
        }
        for (name, value) in origins {
            let proof = server.session(Role::Admin).await;
            let request = server.request(route.method.clone(), &address(&route), &proof);
            let answer = request.header(name, value).send().await.unwrap();
            let status = answer.status();
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
            // What anyone may ask for is refused for its missing body before its origin is looked at.
            let refused = status == StatusCode::FORBIDDEN
                || route.access == Access::Anyone && status == StatusCode::UNSUPPORTED_MEDIA_TYPE;
            assert!(refused, "{route:?} from {name}: {value} is answered {status}");
        }
    }
    server.running.stop().await;
}
