//! The installer and the programs that it installs, for everybody: there is no secret in them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::failure::ApiFailure;
use crate::app::App;
use crate::downloads::{Program, architecture};
use crate::shares::Place;
use crate::throttle::network;

/// How long one may take over a program: nobody keeps a place for ever.
const LONGEST_DOWNLOAD: Duration = Duration::from_mins(15);
/// What is read from the disk at once.
const PIECE: usize = 64 << 10;

/// The script that installs the agent.
pub(crate) async fn install_script(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, ApiFailure> {
    let script = beside(&app, |app| app.downloads.script()).await?;
    let tag = tag(&script.sha256);
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok(unchanged(tag));
    }
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    let kept = HeaderValue::from_static("no-cache");
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept), (header::ETAG, tag)];
    Ok((headers, script.text).into_response())
}

/// The SHA-256 of the script, which belongs into the command that fetches it.
pub(super) async fn install_sha256(app: &Arc<App>) -> Result<String, ApiFailure> {
    Ok(beside(app, |app| app.downloads.script()).await?.sha256)
}

/// A program, its SHA-256 (`.sha256`, as sha256sum writes it), or its signature (`.sig`).
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiFailure> {
    let (program, extension) = match name.rsplit_once('.') {
        Some((program, extension)) => (program, extension),
        None => (name.as_str(), ""),
    };
    let Some(architecture) = architecture(program).map(str::to_owned) else {
        return Err(missing());
    };
    match extension {
        "" => {
            let found = find(&app, architecture).await?;
            send(&app, address.ip(), found, &headers)
        }
        "sha256" => {
            let found = find(&app, architecture).await?;
            Ok(format!("{}  {program}\n", HEXLOWER.encode(&found.sha256)).into_response())
        }
        "sig" => {
            let signed = beside(&app, move |app| app.downloads.release(&architecture)).await?;
            Ok(signed.ok_or_else(missing)?.to_text().into_response())
        }
        _ => Err(missing()),
    }
}

fn missing() -> ApiFailure {
    ApiFailure::not_found(
        "there is no such program here; an administrator can put one into the folder `downloads` of the data folder",
    )
}

async fn find(app: &Arc<App>, architecture: String) -> Result<Program, ApiFailure> {
    let found = beside(app, move |app| app.downloads.program(&architecture)).await?;
    let found = found.map_err(|error| {
        tracing::warn!(%error, "a program cannot be read");
        ApiFailure::internal()
    })?;
    found.ok_or_else(missing)
}

/// Sends a program piece by piece, in one of a bounded number of places.
fn send(
    app: &App,
    address: IpAddr,
    program: Program,
    headers: &HeaderMap,
) -> Result<Response, ApiFailure> {
    let tag = tag(&HEXLOWER.encode(&program.sha256));
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok(unchanged(tag));
    }
    let place = app.downloads.places.try_acquire(&network(address).to_string(), 1);
    let place = place.ok_or_else(|| ApiFailure::busy("too many programs are being sent"))?;
    let pieces = pieces(File::from_std(program.file), place)
        .take_until(tokio::time::sleep(LONGEST_DOWNLOAD));
    let kind = HeaderValue::from_static("application/octet-stream");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_LENGTH, HeaderValue::from(program.size)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The content of a file; the place is given back when its stream ends or is dropped.
fn pieces(file: File, place: Place) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((file, place), |(mut file, place)| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), (file, place))))
    })
}

fn tag(sha256: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{sha256}\"")).expect("quotes and digits make a header value")
}

fn unchanged(tag: HeaderValue) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
}

/// Runs what reads files beside the runtime's threads.
async fn beside<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> T + Send + 'static,
) -> Result<T, ApiFailure> {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || work(&app)).await.map_err(|error| {
        tracing::error!(%error, "reading the downloads failed");
        ApiFailure::internal()
    })
}
