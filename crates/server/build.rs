//! Puts the page where the binary embeds it from: the built one in `web/dist`, or, where that was
//! not built, a page that says how to build it.

use std::path::Path;
use std::{env, fs, io};

const NOT_BUILT: &str = include_str!("page-not-built.html");

fn main() -> io::Result<()> {
    let built =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../web/dist");
    let page = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("page");
    if page.exists() {
        fs::remove_dir_all(&page)?;
    }
    fs::create_dir_all(&page)?;
    println!("cargo::rerun-if-changed=page-not-built.html");
    // Cargo watches the folder if it is there, and looks again at each build while it is not.
    println!("cargo::rerun-if-changed=../../web/dist");
    if built.join("index.html").exists() {
        copy(&built, &page)
    } else {
        fs::write(page.join("index.html"), NOT_BUILT)
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
