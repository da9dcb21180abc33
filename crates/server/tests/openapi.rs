//! The page's types are made from `web/openapi.json`: a stale copy fails here.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_page_has_the_servers_openapi_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/openapi.json");
    let document = muster_server::openapi_document();
    let expected = document.to_pretty_json().expect("the document is JSON") + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expected).expect("web/ is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "web/openapi.json is stale; run `UPDATE_EXPECT=1 cargo test -p muster-server --test openapi`, \
         then `npm run types` in web/"
    );
}

#[test]
fn every_route_of_our_own_api_is_described_and_nothing_else() {
    let served: BTreeSet<String> = muster_server::routes()
        .iter()
        .filter(|route| route.path.starts_with("/api/muster/v1/"))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let document = muster_server::openapi_document();
    let described: BTreeSet<String> = document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            let described = methods.into_iter().filter(|(_, described)| *described);
            described.map(move |(method, _)| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(served, described);
}
