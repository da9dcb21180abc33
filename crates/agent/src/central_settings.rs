//! Settings that the server gave this agent: kept in the state folder, so that they hold where no server answers, and
//! turned into what the parts of the agent take.
//!
//! They are names, patterns and numbers; nothing of them is opened, run or sent anywhere. The file is the message as it
//! came, behind its checksum (CRC-32, little-endian).

use std::io;
use std::path::Path;

use muster_collectors::{Choice, CollectorSettings, NamedPattern, Pattern, PatternError};
use muster_environment::{Disk, RealDisk, read_all, replace_file};
use muster_wire::Configuration;

const FILE: &str = "central-settings";
const CHECKSUM_BYTES: usize = 4;

/// What is on record; a file that is damaged counts as none, and the server sends it again.
pub(crate) fn load(disk: &dyn Disk, state_dir: &Path) -> io::Result<Configuration> {
    let path = state_dir.join(FILE);
    if !disk.exists(&path)? {
        return Ok(Configuration::default());
    }
    let bytes = read_all(disk, &path)?;
    let read = bytes.split_first_chunk::<CHECKSUM_BYTES>().and_then(|(checksum, message)| {
        let right = u32::from_le_bytes(*checksum) == crc32fast::hash(message);
        right.then(|| Configuration::from_bytes(message).ok()).flatten()
    });
    if read.is_none() {
        tracing::warn!(path = %path.display(), "the settings from the server are damaged on this disk; its defaults hold until it sends them again");
    }
    Ok(read.unwrap_or_default())
}

/// What the collectors of an agent with this state folder are told by its server, as far as that is on record here.
pub fn stored_settings(state_dir: &Path) -> io::Result<CollectorSettings> {
    Ok(of_collectors(&load(&RealDisk, state_dir)?).0)
}

/// Puts settings on record.
pub(crate) fn save(
    disk: &dyn Disk,
    state_dir: &Path,
    configuration: &Configuration,
) -> io::Result<()> {
    let message = configuration.to_bytes();
    let mut bytes = crc32fast::hash(&message).to_le_bytes().to_vec();
    bytes.extend_from_slice(&message);
    replace_file(disk, state_dir, FILE, &bytes)
}

/// What the collectors are told, and the patterns that were left out because they are none.
pub(crate) fn of_collectors(
    configuration: &Configuration,
) -> (CollectorSettings, Vec<PatternError>) {
    let mut wrong = Vec::new();
    let mut whole = |pattern: &Option<String>| {
        let read = pattern.as_deref().map(Pattern::whole)?;
        read.map_err(|error| wrong.push(error)).ok()
    };
    let mount_points = Choice {
        include: whole(&configuration.mount_points_include),
        exclude: whole(&configuration.mount_points_exclude),
    };
    let fs_types = Choice {
        include: whole(&configuration.fs_types_include),
        exclude: whole(&configuration.fs_types_exclude),
    };
    let network_devices =
        Choice { include: None, exclude: whole(&configuration.network_devices_exclude) };
    let mut named_processes = Vec::new();
    for (name, pattern) in &configuration.named_processes {
        match Pattern::anywhere(pattern) {
            Ok(pattern) => named_processes.push(NamedPattern { name: name.clone(), pattern }),
            Err(error) => wrong.push(error),
        }
    }
    let settings = CollectorSettings {
        off: configuration.collectors_off.iter().cloned().collect(),
        mount_points,
        fs_types,
        network_devices,
        named_processes,
    };
    (settings, wrong)
}

#[cfg(test)]
mod tests {
    use muster_environment::MemoryDisk;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_kept_and_damage_is_none() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/state");
        disk.create_dir_all(dir).unwrap();
        assert_eq!(load(&disk, dir).unwrap(), Configuration::default());
        let given = Configuration {
            revision: 7,
            collectors_off: vec!["hwmon".into()],
            ..Configuration::default()
        };
        save(&disk, dir, &given).unwrap();
        assert_eq!(load(&disk, dir).unwrap(), given);
        disk.corrupt(&dir.join(FILE), |bytes| bytes[6] ^= 1).unwrap();
        assert_eq!(load(&disk, dir).unwrap(), Configuration::default());
        disk.corrupt(&dir.join(FILE), |bytes| bytes.truncate(3)).unwrap();
        assert_eq!(load(&disk, dir).unwrap(), Configuration::default());
    }

    proptest! {
        /// Whatever a server sends, all that comes of it is a value of each field, within that field's bounds.
        #[test]
        fn any_message_changes_settings_within_their_bounds_and_nothing_else(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            text in ".{0,100}",
            numbers in any::<(u64, i64, i64, f64)>(),
        ) {
            let (revision, fast_ms, slow_ms, percent) = numbers;
            let wild = Configuration {
                revision,
                fast_interval_ms: Some(fast_ms),
                slow_interval_ms: Some(slow_ms),
                collectors_off: vec![text.clone(); 3],
                mount_points_include: Some(text.clone()),
                named_processes: vec![(text.chars().take(9).collect(), text.clone())],
                cpu_limit_percent: Some(percent),
                ..Configuration::default()
            };
            for message in [bytes, wild.to_bytes()] {
                let Ok(read) = Configuration::from_bytes(&message) else { continue };
                prop_assert!(read.fast_interval_ms.is_none_or(|ms| Configuration::FAST_INTERVALS_MS.contains(&ms)));
                prop_assert!(read.slow_interval_ms.is_none_or(|ms| Configuration::SLOW_INTERVALS_MS.contains(&ms)));
                prop_assert!(read.cpu_limit_percent.is_none_or(|p| (1.0..=100.0).contains(&p)));
                let Configuration { collectors_off, named_processes, .. } = &read;
                let (settings, wrong) = of_collectors(&read);
                prop_assert!(settings.off.iter().all(|name| collectors_off.contains(name)));
                prop_assert!(settings.named_processes.len() + wrong.len() >= named_processes.len());
                let disk = MemoryDisk::new();
                disk.create_dir_all(Path::new("/state")).unwrap();
                save(&disk, Path::new("/state"), &read).unwrap();
                prop_assert_eq!(load(&disk, Path::new("/state")).unwrap(), read);
                prop_assert_eq!(disk.list(Path::new("/state")).unwrap().len(), 1, "one file, of a fixed name");
            }
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_left_out_and_told() {
        let given = Configuration {
            mount_points_exclude: Some("(".into()),
            network_devices_exclude: Some("veth.*".into()),
            named_processes: vec![("a".into(), "nginx".into()), ("b".into(), "[".into())],
            ..Configuration::default()
        };
        let (settings, wrong) = of_collectors(&given);
        assert_eq!(wrong.len(), 2);
        assert!(settings.mount_points.takes("/", true));
        assert!(!settings.network_devices.takes("veth0", true));
        assert_eq!(settings.named_processes.len(), 1);
    }
}
