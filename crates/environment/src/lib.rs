//! The world outside, by value: the clock and the disk, each a trait with a real one and ones for tests.
//!
//! Beside them stand whoever manages the process as a service ([`ServiceManager`]), and what only the kernel's own
//! calls can do: [`kernel_clock`] and [`give_back_program_pages`], the two places with `unsafe` code.
//!
//! Everything that reads time or files of samples takes these, so that tests can turn the clock
//! and crash the disk.

mod clock;
mod disk;
mod failing_disk;
mod kernel_clock;
mod memory_disk;
mod private_file;
mod program_pages;
mod real_disk;
mod service_manager;

pub use clock::{Clock, ManualClock, SystemClock};
pub use disk::{
    DirEntry, DirLock, Disk, DiskSpace, LockError, ReadFile, WriteFile, read_all, replace_file,
};
pub use failing_disk::FailingDisk;
pub use kernel_clock::{KernelClock, kernel_clock};
pub use memory_disk::{Crash, MemoryDisk};
pub use private_file::replace_private_file;
pub use program_pages::give_back_program_pages;
pub use real_disk::RealDisk;
pub use service_manager::ServiceManager;
