//! What hosts get from this server: the program for each architecture, and signed releases of it.
//!
//! The folder `downloads` of the data folder is looked at first: a file `muster-linux-ARCHITECTURE` in it is served, with its
//! `.sig` beside it. For this machine's architecture there is also the program that runs here. A `.sig` counts only where
//! it is about the very bytes that are served. Everything here reads files: callers run it beside the runtime's threads.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use muster_wire::{MAX_RELEASE_BYTES, Offer, SignedRelease};
use parking_lot::Mutex;

use crate::installer::{self, Script};
use crate::shares::Shares;

/// What every program's name begins with; the architecture follows.
const PREFIX: &str = "muster-linux-";
/// The program that runs here, also after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How many programs are sent at the same time, half of them to one network: a fleet that updates takes turns.
const MOST_AT_ONCE: u32 = 64;
/// No `.sig` file is longer.
const MAX_SIGNATURE_FILE: u64 = 4 << 10;
/// Architectures told of; a folder with more in it holds something else.
const MOST_ARCHITECTURES: usize = 32;

/// A program to send, open at its beginning.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
}

/// A file's content as known by its facts: device, inode, size, and when it changed, in nanoseconds.
type Facts = (u64, u64, u64, i64, i64);

/// See the module.
pub(crate) struct Downloads {
    dir: PathBuf,
    /// Hashing takes a tenth of a second, so what was hashed once is remembered.
    hashed: Mutex<HashMap<PathBuf, (Facts, [u8; 32])>>,
    offers: ArcSwap<BTreeMap<String, Arc<Offer>>>,
    /// A place for each program that is being sent.
    pub(crate) places: Shares,
}

impl Downloads {
    /// What lies in `dir`, which need not be there.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            hashed: Mutex::default(),
            offers: ArcSwap::default(),
            places: Shares::new(MOST_AT_ONCE),
        }
    }

    /// The program for an architecture.
    pub(crate) fn program(&self, architecture: &str) -> io::Result<Option<Program>> {
        let file = self.dir.join(format!("{PREFIX}{architecture}"));
        match self.open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(Some),
        }
        if architecture == std::env::consts::ARCH {
            return self.open(Path::new(OWN_PROGRAM)).map(Some);
        }
        Ok(None)
    }

    /// The signature of the program for an architecture, if there is one of exactly that program.
    pub(crate) fn release(&self, architecture: &str) -> Option<SignedRelease> {
        let path = self.dir.join(format!("{PREFIX}{architecture}.sig"));
        let mut text = String::new();
        File::open(&path).ok()?.take(MAX_SIGNATURE_FILE).read_to_string(&mut text).ok()?;
        let signed = SignedRelease::parse(&text)
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "no release"))
            .ok()?;
        let program = self.program(architecture).ok()??;
        let release = &signed.release;
        let fits = release.architecture == architecture
            && (release.sha256, release.size) == (program.sha256, program.size);
        if !fits {
            tracing::warn!(path = %path.display(), "the signature is not that of the program beside it");
        }
        fits.then_some(signed)
    }

    /// The script that installs what is here.
    pub(crate) fn script(&self) -> Script {
        let mut programs = BTreeMap::new();
        for architecture in self.architectures() {
            match self.program(&architecture) {
                Ok(Some(program)) => {
                    programs.insert(architecture, program.sha256);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(architecture, %error, "a program cannot be read"),
            }
        }
        installer::script(env!("CARGO_PKG_VERSION"), &programs)
    }

    /// The release to offer to agents of an architecture, as of the last look.
    pub(crate) fn offer(&self, architecture: &str) -> Option<Arc<Offer>> {
        self.offers.load().get(architecture).cloned()
    }

    /// Looks for releases anew.
    pub(crate) fn look(&self) {
        let offers = self.architectures().into_iter().filter_map(|architecture| {
            let signed = self.release(&architecture)?;
            let path = format!("/download/{PREFIX}{architecture}");
            Some((architecture, Arc::new(Offer { path, signed })))
        });
        let offers: BTreeMap<String, Arc<Offer>> = offers.collect();
        if **self.offers.load() != offers {
            for (architecture, offer) in &offers {
                let version = offer.signed.release.version;
                tracing::info!(architecture, %version, "a release is offered to agents");
            }
            self.offers.store(Arc::new(offers));
        }
    }

    /// This machine's, and those that the folder has programs for.
    fn architectures(&self) -> Vec<String> {
        let mut found = vec![std::env::consts::ARCH.to_owned()];
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let name = entry.file_name().into_string().unwrap_or_default();
            if let Some(architecture) = architecture(&name)
                && found.len() < MOST_ARCHITECTURES
            {
                found.push(architecture.to_owned());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn open(&self, path: &Path) -> io::Result<Program> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let size = metadata.len();
        if !metadata.is_file() || size == 0 || size > MAX_RELEASE_BYTES {
            return Err(io::Error::other("it is no file of a program's size"));
        }
        let facts: Facts =
            (metadata.dev(), metadata.ino(), size, metadata.ctime(), metadata.ctime_nsec());
        if let Some((known, sha256)) = self.hashed.lock().get(path)
            && *known == facts
        {
            return Ok(Program { file, size, sha256: *sha256 });
        }
        let sha256 = hash(&mut file)?;
        file.rewind()?;
        self.hashed.lock().insert(path.into(), (facts, sha256));
        Ok(Program { file, size, sha256 })
    }
}

/// The architecture in the name of a program's file.
pub(crate) fn architecture(name: &str) -> Option<&str> {
    let architecture = name.strip_prefix(PREFIX)?;
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let fits = (1..=32).contains(&architecture.len()) && architecture.bytes().all(word);
    fits.then_some(architecture)
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    let digest = context.finish();
    Ok(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use muster_wire::Release;

    use super::*;

    fn signed(program: &Program, architecture: &str) -> String {
        let release = Release {
            version: "9.0.0".parse().unwrap(),
            architecture: architecture.into(),
            size: program.size,
            sha256: program.sha256,
        };
        SignedRelease { release, signature: [1; 64] }.to_text()
    }

    #[test]
    fn the_program_that_runs_here_is_given_unless_the_folder_has_another() {
        let dir = tempfile::tempdir().unwrap();
        let downloads = Downloads::new(dir.path().join("downloads"));
        let own = std::env::consts::ARCH;
        let program = downloads.program(own).unwrap().unwrap();
        let length = std::fs::metadata(OWN_PROGRAM).unwrap().len();
        assert_eq!(program.size, length);
        assert!(downloads.program("pdp11").unwrap().is_none());
        let script = downloads.script();
        assert!(script.text.contains(&format!("'{own} {}'", HEXLOWER.encode(&program.sha256))));

        std::fs::create_dir(&downloads.dir).unwrap();
        for name in ["pdp11", own] {
            std::fs::write(downloads.dir.join(format!("{PREFIX}{name}")), name).unwrap();
        }
        assert_eq!(downloads.program(own).unwrap().unwrap().size, own.len() as u64);
        let other = downloads.script();
        assert!(other.text.contains("\nbinaries='pdp11 ") || other.text.contains("\npdp11 "));
        assert_ne!(other.sha256, script.sha256);
        std::fs::write(downloads.dir.join(format!("{PREFIX}pdp11")), "later").unwrap();
        assert_ne!(downloads.script().sha256, other.sha256, "a changed file is hashed anew");
    }

    #[test]
    fn a_release_is_offered_only_with_the_signature_of_that_very_program() {
        let dir = tempfile::tempdir().unwrap();
        let downloads = Downloads::new(dir.path().into());
        let path = |name: &str| dir.path().join(format!("{PREFIX}{name}"));
        std::fs::write(path("pdp11"), "the program").unwrap();
        downloads.look();
        assert!(downloads.offer("pdp11").is_none(), "it has no signature");
        let program = downloads.program("pdp11").unwrap().unwrap();
        std::fs::write(path("pdp11.sig"), signed(&program, "vax")).unwrap();
        downloads.look();
        assert!(downloads.offer("pdp11").is_none(), "the signature is another machine's");
        std::fs::write(path("pdp11.sig"), signed(&program, "pdp11")).unwrap();
        downloads.look();
        let offer = downloads.offer("pdp11").unwrap();
        assert_eq!(offer.path, "/download/muster-linux-pdp11");
        std::fs::write(path("pdp11"), "another program").unwrap();
        downloads.look();
        assert!(downloads.offer("pdp11").is_none(), "the program is another by now");
    }

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        assert_eq!(architecture("muster-linux-x86_64"), Some("x86_64"));
        for name in ["muster-linux-", "muster-linux-../x", "muster-linux-x.sig", "other", ""] {
            assert_eq!(architecture(name), None, "{name}");
        }
    }
}
