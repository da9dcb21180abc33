//! Runs scripts in Prometheus's promqltest format (`load`, `eval`, `clear`, `expect`) against this engine.

mod judge;
mod memory;
mod script;
mod series;

use memory::Memory;
use script::{Command, parse};

/// What became of one `eval`.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Line of the `eval`, from 1.
    pub(crate) line: usize,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

/// Runs a script; an error is one of the script itself.
pub(crate) fn run(text: &str) -> Result<Vec<Outcome>, String> {
    let mut memory = Memory::default();
    let mut outcomes = Vec::new();
    for command in parse(text)? {
        match command {
            Command::Clear => memory = Memory::default(),
            Command::Load(loads) => loads.iter().for_each(|columns| memory.add(columns)),
            Command::Eval(eval) => {
                outcomes
                    .push(Outcome { line: eval.line, failure: judge::judge(&eval, &memory).err() });
            }
        }
    }
    Ok(outcomes)
}
