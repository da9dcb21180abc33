//! `tsdb`: how much a server can take in, what it costs in memory and on disk, and how soon it is back after `kill -9`.

use std::time::Instant;

use anyhow::ensure;

use crate::agents::Agents;
use crate::data::{self, INTERVAL_MS};
use crate::http::Connection;
use crate::load::{Form, Load, hosts_of};
use crate::options::Options;
use crate::product::{Product, Server};
use crate::query::{self, Question};
use crate::report::{Better, Table};

const MIB: f64 = 1_048_576.0;
/// Ten hosts, a scrape of each.
const SCRAPES: Form = Form { hosts: 10, samples_per_series: 1 };
/// One host, one scrape.
const ONE_HOST: Form = Form { hosts: 1, samples_per_series: 1 };
/// Five hosts, ten scrapes of each: what a sender does after an outage.
const BACKFILL: Form = Form { hosts: 5, samples_per_series: 10 };

/// A measurement of ingest: its name, how requests are made, how many series there are, and scrapes of each.
const INGEST: [(&str, Form, u64, i64); 4] = [
    ("2,000 samples a request, one a series, 20k series", SCRAPES, 20_000, 480),
    ("2,000 samples a request, one a series, 100k series", SCRAPES, 100_000, 120),
    ("200 samples a request, one host's scrape, 100k series", ONE_HOST, 100_000, 80),
    ("10,000 samples a request, ten a series, 100k series", BACKFILL, 100_000, 160),
];
const AGENT: &str = "agent session: 100 agents, batches of 1,000 samples";
const AGENT_SCRAPES: i64 = 240;
const MEMORY: &str = "memory: 100k series, 40 M samples";
/// Long enough that what is written becomes blocks meanwhile, which short runs leave for later.
const SUSTAINED: &str = "2,000 samples a request, one a series, 100k series, 40 M samples";
const DAY: &str = "day: 24 h at 15 s, 10k series";
const START: &str = "start after kill -9 with 1 M series";

/// A measurement of one product that fills its rows.
type Measurement = fn(&Options, Product, i64, &mut Tables) -> anyhow::Result<()>;

/// The tables of a run.
struct Tables {
    ingest: Table,
    bytes: Table,
    memory: Table,
    start: Table,
}

/// Runs all measurements that are wanted; gives the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let products = options.products();
    let table = |title, better| Table::new(title, better, &products);
    let mut tables = Tables {
        ingest: table("Ingest: thousand samples per CPU-second of the server", Better::More),
        bytes: table("Bytes per sample on disk, everything included", Better::Less),
        memory: table("Memory with 100k series after 40 M samples, MiB", Better::Less),
        start: table("Start after kill -9 with 1 M series, seconds", Better::Less),
    };
    let last_ms = data::aligned(query::now_ms());
    for _ in 0..options.rounds() {
        for (name, form, series, scrapes) in INGEST.iter().filter(|one| options.wants(one.0)) {
            for &product in &products {
                let rate = ingest(options, product, *form, *series, *scrapes, last_ms)?;
                tables.ingest.add(name, product, rate);
            }
        }
        if options.wants(AGENT) && products.contains(&Product::Muster) {
            let rate = agent_session(options, last_ms)?;
            tables.ingest.add(AGENT, Product::Muster, rate);
        }
    }
    // These take minutes each and hardly vary: one round.
    let long = [(MEMORY, memory as Measurement), (DAY, day), (START, start)];
    for (name, measurement) in long.into_iter().filter(|one| options.wants(one.0)) {
        for &product in &products {
            match measurement(options, product, last_ms, &mut tables) {
                // What a peer cannot do is told, and no reason to lose what was measured.
                Err(error) if product != Product::Muster => {
                    crate::progress(&format!("{name}: {} failed: {error:#}", product.name()));
                }
                measured => measured?,
            }
        }
    }
    let Tables { ingest, bytes, memory, start } = tables;
    Ok([ingest, bytes, memory, start].map(|table| table.markdown()).concat())
}

/// Thousand samples per CPU-second by remote write, the work in the background that they cause included.
fn ingest(
    options: &Options,
    product: Product,
    form: Form,
    series: u64,
    scrapes: i64,
    last_ms: i64,
) -> anyhow::Result<f64> {
    let server = Server::start(product, &options.muster)?;
    let mut load = Load::new("node", hosts_of(series), form);
    let before = server.rest(options.quiet())?;
    let first_ms = last_ms - options.scaled(scrapes) * INTERVAL_MS;
    let samples = load.write(&server, first_ms, last_ms)?;
    rate(options, &server, samples, before)
}

fn agent_session(options: &Options, last_ms: i64) -> anyhow::Result<f64> {
    let server = Server::start(Product::Muster, &options.muster)?;
    // The server gives agents up that say nothing for long, so they join only now.
    let before = server.rest(options.quiet())?;
    let mut agents = Agents::join(&server)?;
    let first_ms = last_ms - options.scaled(AGENT_SCRAPES) * INTERVAL_MS;
    let samples = agents.write(first_ms, last_ms)?;
    rate(options, &server, samples, before)
}

fn rate(options: &Options, server: &Server, samples: u64, before: f64) -> anyhow::Result<f64> {
    let used = server.rest(options.quiet())? - before;
    ensure!(used > 0.0, "the server used no CPU time; write more samples");
    Ok(samples as f64 / used / 1e3)
}

/// 100 minutes of 100k series: memory, ingest over a longer time, and bytes on disk before and after all is merged.
fn memory(
    options: &Options,
    product: Product,
    last_ms: i64,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let server = Server::start(product, &options.muster)?;
    let mut load = Load::new("node", hosts_of(100_000), SCRAPES);
    let before = server.rest(options.quiet())?;
    let first_ms = last_ms - options.scaled(400) * INTERVAL_MS;
    let samples = load.write(&server, first_ms, last_ms)?;
    drop(load);
    tables.ingest.add(SUSTAINED, product, rate(options, &server, samples, before)?);
    let samples = samples as f64;
    let memory = server.memory()?;
    tables.memory.add("resident", product, memory.now as f64 / MIB);
    tables.memory.add("resident, at its peak", product, memory.peak as f64 / MIB);
    let bytes = server.disk_bytes()? as f64;
    tables.bytes.add("100 min, just after writing", product, bytes / samples);
    let settled = server.settled_bytes(options.quiet())? as f64;
    tables.bytes.add("100 min, settled", product, settled / samples);
    Ok(())
}

/// A day of 50 hosts that lies in the past, so that no part of it waits for more: bytes on disk.
fn day(
    options: &Options,
    product: Product,
    last_ms: i64,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    const DAY_MS: i64 = 86_400_000;
    let server = Server::start(product, &options.muster)?;
    let mut load = Load::new("node", hosts_of(10_000), BACKFILL);
    let end_ms = last_ms / DAY_MS * DAY_MS - DAY_MS;
    let first_ms = end_ms - options.scaled(DAY_MS / INTERVAL_MS) * INTERVAL_MS;
    let samples = load.write(&server, first_ms, end_ms)? as f64;
    server.rest(options.quiet())?;
    let bytes = server.disk_bytes()? as f64;
    tables.bytes.add("24 h, just after writing", product, bytes / samples);
    let settled = server.settled_bytes(options.quiet())? as f64;
    tables.bytes.add("24 h, settled", product, settled / samples);
    Ok(())
}

/// From `kill -9` with a million series to the right answer to a query.
fn start(
    options: &Options,
    product: Product,
    last_ms: i64,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let table = &mut tables.start;
    let mut server = Server::start(product, &options.muster)?;
    let hosts = hosts_of(options.scaled(1_000_000) as u64);
    let mut load = Load::new("node", hosts, SCRAPES);
    load.write(&server, last_ms - 5 * INTERVAL_MS, last_ms)?;
    drop(load);
    // A query before the crash is to find all of it; what a peer has only in memory then is its promise.
    server.rest(options.quiet())?;
    let question = Question::instant("count(node_load1)", last_ms);
    let asked = |connection: &mut Connection| question.ask(connection)?.one_number();
    let before = asked(&mut server.connect()?)?;
    ensure!(before == hosts as f64, "{} lost series before the crash: {before}", product.name());
    server.kill_and_start()?;
    let started = Instant::now();
    server.wait_until_ready()?;
    table.add("ready", product, started.elapsed().as_secs_f64());
    // Who lost everything answers with no series at all.
    let after = question.ask(&mut server.connect()?)?.one_number().unwrap_or(0.0);
    let answered = started.elapsed().as_secs_f64();
    let lost = 100.0 * (before - after) / before;
    ensure!(product != Product::Muster || lost == 0.0, "{lost} % of the series are lost");
    if lost == 0.0 {
        table.add("ready, and a query answered right", product, answered);
    }
    table.add("acknowledged series that the crash lost, %", product, lost);
    Ok(())
}
