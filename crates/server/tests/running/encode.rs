//! Requests as senders write them, field by field.

/// A field that holds bytes or a message.
pub(crate) fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

/// A field that holds an integer.
pub(crate) fn integer(field: u8, value: i64) -> Vec<u8> {
    let mut out = vec![field << 3];
    varint(&mut out, value as u64);
    out
}

/// A field that holds 8 bytes.
pub(crate) fn fixed(field: u8, bits: u64) -> Vec<u8> {
    [&[field << 3 | 1][..], &bits.to_le_bytes()].concat()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn sample(timestamp_ms: i64, value: f64) -> Vec<u8> {
    [fixed(1, value.to_bits()), integer(2, timestamp_ms)].concat()
}

/// A series of remote write 1.0, as a field of the request.
pub(crate) fn series_v1(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let label = [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat();
        series.extend(bytes(1, &label));
    }
    for &(timestamp_ms, value) in samples {
        series.extend(bytes(2, &sample(timestamp_ms, value)));
    }
    bytes(1, &series)
}

/// A request of remote write 2.0: symbols as they are needed.
#[derive(Default)]
pub(crate) struct RequestV2 {
    symbols: Vec<String>,
    series: Vec<u8>,
}

impl RequestV2 {
    fn symbol(&mut self, text: &str) -> u64 {
        if self.symbols.is_empty() {
            self.symbols.push(String::new());
        }
        let found = self.symbols.iter().position(|symbol| symbol == text);
        found.unwrap_or_else(|| {
            self.symbols.push(text.to_owned());
            self.symbols.len() - 1
        }) as u64
    }

    /// A series; `more` are further fields of it.
    pub(crate) fn series(
        mut self,
        labels: &[(&str, &str)],
        samples: &[(i64, f64)],
        more: &[u8],
    ) -> Self {
        let mut references = Vec::new();
        for (name, value) in labels {
            varint(&mut references, self.symbol(name));
            varint(&mut references, self.symbol(value));
        }
        let mut series = bytes(1, &references);
        for &(timestamp_ms, value) in samples {
            series.extend(bytes(2, &sample(timestamp_ms, value)));
        }
        series.extend_from_slice(more);
        self.series.extend(bytes(5, &series));
        self
    }

    pub(crate) fn encode(mut self) -> Vec<u8> {
        self.symbol("");
        let symbols = self.symbols.iter().flat_map(|symbol| bytes(4, symbol.as_bytes()));
        symbols.chain(self.series.iter().copied()).collect()
    }
}

pub(crate) fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

pub(crate) fn gzip(message: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}
