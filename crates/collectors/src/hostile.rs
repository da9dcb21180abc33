//! Damaged files of the kernel: whatever they say, no collector panics.

use std::fs;
use std::path::{Path, PathBuf};

use crate::roots::Roots;
use crate::sink::{Collection, SeriesCache};

/// Copies a tree of files and symbolic links; returns the files.
fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            files.extend(copy(&entry.path(), &to));
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &to).unwrap();
        } else {
            fs::copy(entry.path(), &to).unwrap();
            files.push(to);
        }
    }
    files
}

fn damaged(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut versions = vec![
        Vec::new(),
        b"\n\n".to_vec(),
        b"-1".to_vec(),
        b"99999999999999999999999999\n".to_vec(),
        bytes.repeat(2),
        bytes.iter().filter(|b| **b != b'\n').copied().collect(),
    ];
    let step = (bytes.len() / 6).max(1);
    for at in (0..bytes.len()).step_by(step) {
        versions.push(bytes[..at].to_vec());
        for wrong in [b'\n', b' ', b'x', 0xff] {
            let mut version = bytes.to_vec();
            version[at] = wrong;
            versions.push(version);
        }
    }
    versions
}

#[test]
fn no_collector_panics_over_a_damaged_file() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let folder = tempfile::tempdir().unwrap();
    let files = copy(&fixture, folder.path());
    assert!(files.len() > 80, "the fixture has {} files", files.len());
    let [proc, sys, rootfs] = ["proc", "sys", "rootfs"].map(|name| folder.path().join(name));
    let roots = Roots::new(&proc, &sys, &rootfs);
    let mut collectors: Vec<_> =
        crate::all(&roots).into_iter().map(|c| (c, SeriesCache::default())).collect();
    // The file systems of this machine are not what is tested here.
    collectors.retain(|(collector, _)| collector.name() != "filesystem");
    let mut next_series = 0;
    // Of the many small files of /sys, which are read in the same way, one in twelve is enough.
    let chosen = files.iter().enumerate().filter(|(at, f)| f.starts_with(&proc) || at % 12 == 0);
    for (_, file) in chosen {
        let whole = fs::read(file).unwrap();
        for version in damaged(&whole) {
            fs::write(file, version).unwrap();
            for (collector, cache) in &mut collectors {
                let mut out = Collection::default();
                let mut sink = cache.begin(&mut out, &mut next_series, 0, 0);
                // Whether it is an error depends on the damage; that it returns is the point.
                let _ = collector.collect(&mut sink);
                cache.end(&mut out);
            }
        }
        fs::write(file, whole).unwrap();
    }
}
