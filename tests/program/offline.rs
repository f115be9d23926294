//! The program speaks to nobody.
use crate::place::{Place, photos};
use std::collections::BTreeSet;
use std::path::Path;

/// The numbers of the sockets of this machine that reach others: TCP, UDP and raw ones.
fn reaching_others() -> BTreeSet<String> {
    let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "packet"];
    let rows = tables.iter().flat_map(|table| {
        let text = std::fs::read_to_string(Path::new("/proc/net").join(table)).unwrap_or_default();
        text.lines()
            .skip(1)
            .map(|line| line.split_whitespace().nth(9).unwrap_or_default().to_string())
            .collect::<Vec<_>>()
    });
    rows.collect()
}

/// The sockets that a process and its children hold.
fn sockets(pid: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![pid.to_string()];
    while let Some(pid) = waiting.pop() {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            let number = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
            found.extend(number.map(str::to_string));
        }
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            waiting.extend(children.split_whitespace().map(str::to_string));
        }
    }
    found
}

#[test]
fn no_command_opens_a_socket_to_others() {
    let place = Place::new();
    place.write("a.json", &photos());
    let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(!sockets(std::process::id()).is_disjoint(&reaching_others()), "a socket of one's own must be seen");
    drop(probe);
    let mut all = 0;
    for command in
        [&["check", "a.json"][..], &["compare", "a.json"], &["post-train", "a.json"], &["slow-flow", "a.json"]]
    {
        let mut child = place.command(command).stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut looks = 0;
        while child.try_wait().unwrap().is_none() {
            let held = sockets(child.id());
            let reaching: Vec<_> = held.intersection(&reaching_others()).cloned().collect();
            assert!(reaching.is_empty(), "{command:?} holds {reaching:?}");
            looks += 1;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        all += looks;
        assert!(child.wait().unwrap().success(), "{command:?}");
    }
    assert!(all > 20, "they were looked at {all} times");
}
