//! Load by remote write: a few connections, each sending its next request when the last is answered.

use std::thread;

use crate::data::{Host, INTERVAL_MS, SERIES_PER_HOST};
use crate::product::Server;
use crate::remote_write::Block;

/// Few, so that the server works without pause and nothing queues.
const CONNECTIONS: usize = 5;
/// All data follows from this.
pub(crate) const SEED: u64 = 20_261_122;

/// How samples are put into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Hosts in a request.
    pub(crate) hosts: u64,
    /// Samples of each series in a request.
    pub(crate) samples_per_series: usize,
}

/// Hosts that are written from several connections, in step, again and again.
pub(crate) struct Load {
    /// Blocks by connection: a series is always written by the same one, so its samples stay in order.
    connections: Vec<Vec<Block>>,
    samples_per_series: usize,
}

impl Load {
    /// `hosts` hosts of the group `job`.
    pub(crate) fn new(job: &str, hosts: u64, form: Form) -> Self {
        let mut connections: Vec<Vec<Block>> = Vec::new();
        connections.resize_with(CONNECTIONS, Vec::new);
        let first_hosts = (0..hosts).step_by(form.hosts as usize);
        for (place, first) in first_hosts.enumerate() {
            let numbers = first..hosts.min(first + form.hosts);
            let hosts = numbers.map(|number| Host::new(SEED, job, number)).collect();
            connections[place % CONNECTIONS].push(Block::new(hosts));
        }
        Self { connections, samples_per_series: form.samples_per_series }
    }

    /// These hosts and those of another load together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (own, more) in self.connections.iter_mut().zip(other.connections) {
            own.extend(more);
        }
        self
    }

    /// Writes the scrapes of all ticks from `first_ms` to before `end_ms`; gives the number of samples.
    pub(crate) fn write(
        &mut self,
        server: &Server,
        first_ms: i64,
        end_ms: i64,
    ) -> anyhow::Result<u64> {
        let ticks: Vec<i64> = (first_ms..end_ms).step_by(INTERVAL_MS as usize).collect();
        let per_series = self.samples_per_series;
        thread::scope(|scope| {
            let writers: Vec<_> = self
                .connections
                .iter_mut()
                .map(|blocks| scope.spawn(|| write_blocks(server, blocks, &ticks, per_series)))
                .collect();
            let results =
                writers.into_iter().map(|writer| writer.join().expect("no writer panics"));
            results.sum()
        })
    }
}

fn write_blocks(
    server: &Server,
    blocks: &mut [Block],
    ticks: &[i64],
    per_series: usize,
) -> anyhow::Result<u64> {
    let mut connection = server.connect()?;
    let mut written = 0;
    for ticks in ticks.chunks(per_series) {
        for block in &mut *blocks {
            let (body, samples) = block.request(ticks)?;
            server.write(&mut connection, body)?;
            written += samples;
        }
    }
    Ok(written)
}

/// Hosts that make this many series.
pub(crate) fn hosts_of(series: u64) -> u64 {
    series / SERIES_PER_HOST as u64
}
