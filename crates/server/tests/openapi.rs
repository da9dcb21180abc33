//! The page's types are made from `web/openapi.json`: a stale copy fails here.

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
fn every_route_of_our_own_api_is_described() {
    let routes = include_str!("../src/http/mod.rs");
    let described = muster_server::openapi_document().paths.paths;
    let own = routes
        .split('"')
        .filter(|text| text.starts_with("/api/muster/v1/"))
        .collect::<std::collections::BTreeSet<_>>();
    assert!(own.len() > 5, "the route table is in src/http/mod.rs");
    for route in own {
        assert!(described.contains_key(route), "{route} is not described");
    }
}
