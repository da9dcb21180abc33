//! The page, from the binary.
//!
//! Every path that is no asset and belongs to no API gets `index.html`, as the page itself routes.
//! Assets in `assets/` carry a hash of their content in their names and are kept by browsers for a year.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::failure::ApiFailure;
use super::prometheus_reply::PromFailure;

/// The built page, or the one that says how to build it; `build.rs` decides which.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/page"]
struct Page;

/// Paths under which everything is an API's.
const API_PREFIXES: [&str; 6] =
    ["/api/", "/agent/", "/-/", "/metrics", "/download/", "/install.sh"];

pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if path.starts_with("/api/v1/") {
        return PromFailure::not_found().into_response();
    }
    if API_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        return ApiFailure::not_found("there is no such address").into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        let error = "the page can only be read";
        return ApiFailure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", error)
            .into_response();
    }
    let name = path.trim_start_matches('/');
    match asset(name, &headers) {
        Some(found) => found,
        // A file that is not there is an error, not the page, or a broken build would show as a broken script.
        None if name.starts_with("assets/") => {
            ApiFailure::not_found("there is no such file").into_response()
        }
        None => asset("index.html", &headers)
            .unwrap_or_else(|| ApiFailure::not_found("this binary holds no page").into_response()),
    }
}

/// The asset, compressed if it is there compressed and the client takes it.
fn asset(name: &str, request: &HeaderMap) -> Option<Response> {
    let name = if name.is_empty() { "index.html" } else { name };
    let plain = Page::get(name)?;
    let accepted = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let compressed =
        [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(encoding, extension)| {
            let accepts =
                accepted.split(',').any(|part| part.trim().split(';').next() == Some(encoding));
            let file = if accepts { Page::get(&format!("{name}.{extension}")) } else { None };
            file.map(|file| (encoding, file))
        });
    let tag = entity_tag(&plain);
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, tag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching(name)));
    if request.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Some((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    let body = match compressed {
        Some((encoding, file)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            file.data
        }
        None => plain.data,
    };
    Some((headers, body.into_owned()).into_response())
}

fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    let digits = HEXLOWER.encode(&file.metadata.sha256_hash()[..12]);
    HeaderValue::try_from(format!("\"{digits}\""))
        .expect("quotes and hexadecimal digits make a header value")
}

fn caching(name: &str) -> &'static str {
    if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(method: Method, path: &'static str) -> StatusCode {
        serve(method, Uri::from_static(path), HeaderMap::new()).await.status()
    }

    #[tokio::test]
    async fn every_page_address_gets_the_page_and_nothing_else_does() {
        assert_eq!(status(Method::GET, "/").await, StatusCode::OK);
        assert_eq!(status(Method::GET, "/hosts/web-1").await, StatusCode::OK);
        assert_eq!(status(Method::GET, "/assets/missing.js").await, StatusCode::NOT_FOUND);
        assert_eq!(status(Method::GET, "/api/v1/nothing").await, StatusCode::NOT_FOUND);
        assert_eq!(status(Method::POST, "/").await, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_known_page_is_not_sent_again() {
        let first = serve(Method::GET, Uri::from_static("/"), HeaderMap::new()).await;
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let second = serve(Method::GET, Uri::from_static("/"), headers).await;
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    }
}
