//! What processes take of this machine, as Linux tells it.

use std::fs;

/// Ticks of the processor clock in a second, as `/proc` counts: fixed on Linux.
const TICKS: f64 = 100.0;
/// In `/proc/PID/stat`, behind the name: time in the program and in the kernel.
const TIMES: [usize; 2] = [11, 12];

/// Memory that a process has, in KiB; none where the system does not tell.
#[must_use]
pub fn resident_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor seconds that a process has used; none where the system does not tell.
#[must_use]
pub fn processor_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let mut sum = 0.0;
    for place in TIMES {
        sum += fields.get(place)?.parse::<f64>().ok()?;
    }
    Some(sum / TICKS)
}
