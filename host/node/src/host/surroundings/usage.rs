//! What a process has used of its machine, and what there is.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// What a host has used of its machine, and what it may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time used since it began, of all threads.
    pub cpu: Duration,
    /// Processor time there is, in thousandths of a core; zero if it is not known.
    pub cores: u64,
    /// Memory used, in bytes.
    pub memory: u64,
    /// Memory it may use, in bytes; zero if it is not known.
    pub memory_limit: u64,
}

impl Usage {
    /// Of this process.
    pub(super) fn of_this_process() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64 * 1000);
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let memory = kib(&read("/proc/self/status"), "VmRSS:").unwrap_or(0);
        // What others on the machine have taken is not there for this process; what a container withholds neither.
        let machine = kib(&read("/proc/meminfo"), "MemAvailable:").map(|free| memory.saturating_add(free));
        let container = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
        let memory_limit = machine.into_iter().chain(container).min().unwrap_or(0);
        // The clock that runs while a thread of this process does.
        let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
        Self { cpu, cores, memory, memory_limit }
    }
}

/// The bytes of a line like `VmRSS:     5120 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let text = "Name:\tcolony\nVmHWM:\t  9000 kB\nVmRSS:\t    5120 kB\nThreads:\t4\n";
        assert_eq!(kib(text, "VmRSS:"), Some(5120 * 1024));
        assert_eq!(kib(text, "Threads:"), None, "it has no unit");
        assert_eq!(kib(text, "VmSwap:"), None);
        assert_eq!(kib("VmRSS: 99999999999999999999 kB", "VmRSS:"), None);
    }

    /// C34: what is reported is this process's own: work shows as time, and memory is within what there is.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_knows_what_it_uses() {
        let before = Usage::of_this_process();
        let mut sum = 0_u64;
        while Usage::of_this_process().cpu < before.cpu + Duration::from_millis(20) {
            sum = (0..100_000).fold(sum, |sum: u64, number| std::hint::black_box(sum.wrapping_add(number)));
        }
        assert!(before.cores >= 1000);
        assert!(before.memory > 0 && before.memory <= before.memory_limit, "{before:?}");
    }
}
