//! Making a cluster, and the settings it is served with.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::account::Account;
use crate::error::{At, Error};
use crate::install::{Install, tail};
use crate::layout::PORT;
use crate::{Durability, Options};

const INIT_DEADLINE: Duration = Duration::from_secs(120);
/// Least and most megabytes that PostgreSQL holds itself.
const SHARED_BUFFERS: (u64, u64) = (128, 512);

/// The major version that made the cluster at `pgdata`; none when there is no cluster.
pub(crate) fn made_by(pgdata: &Path) -> Result<Option<u16>, Error> {
    let path = pgdata.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| Error::Failed {
            what: "reading the database's version",
            detail: format!("{} says {:?}", path.display(), text.trim()),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("cannot read", &path),
    }
}

/// Makes a cluster with the superuser and the database `annals`. It is built beside and renamed
/// into place, so that a crash in the middle leaves nothing that looks finished.
pub(crate) async fn create(
    install: &Install,
    account: &Account,
    pgdata: &Path,
    durability: Durability,
) -> Result<(), Error> {
    let staging = pgdata.with_extension("new");
    match std::fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).at("cannot remove", &staging);
        }
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&staging).at("cannot make", &staging)?;
    account.give(&staging)?;

    let mut refusal = String::new();
    let mut done = false;
    for locale in locales(install.major) {
        let mut initdb = install.command("initdb");
        initdb.args(["--username=annals", "--encoding=UTF8", "--auth-local=trust"]);
        initdb.args(["--auth-host=reject", "--no-instructions", "--no-sync"]).args(*locale);
        initdb.arg("--pgdata").arg(&staging);
        let output = run(initdb, account, "initdb", "").await?;
        done = output.status.success();
        if done {
            break;
        }
        refusal = tail(&output.stderr, 600);
    }
    if !done {
        return Err(Error::Failed { what: "initdb", detail: refusal });
    }

    let mut single = install.command("postgres");
    single.args(["--single", "-c", "fsync=off", "-D"]).arg(&staging).arg("postgres");
    let what = "creating the database annals";
    let output = run(single, account, what, "CREATE DATABASE annals\n").await?;
    // Single-user mode goes on after an error and exits with success.
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("ERROR:") {
        return Err(Error::Failed { what, detail: tail(&output.stderr, 600) });
    }

    // Everything is synced once, when it is complete.
    if durability == Durability::Durable {
        let mut sync = install.command("initdb");
        sync.arg("--sync-only").arg("--pgdata").arg(&staging);
        let output = run(sync, account, "initdb --sync-only", "").await?;
        if !output.status.success() {
            let detail = tail(&output.stderr, 600);
            return Err(Error::Failed { what: "initdb --sync-only", detail });
        }
    }
    std::fs::rename(&staging, pgdata).at("cannot move into place", pgdata)?;
    if let Some(parent) = pgdata.parent().filter(|_| durability == Durability::Durable) {
        let folder = std::fs::File::open(parent).at("cannot open", parent)?;
        folder.sync_all().at("cannot sync", parent)?;
    }
    Ok(())
}

/// Code-point order and Unicode case rules, which are the same on every machine; plain C where the
/// system has no such locale.
fn locales(major: u16) -> &'static [&'static [&'static str]] {
    if major >= 17 {
        &[
            &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"],
            &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
        ]
    } else {
        &[&["--locale=C.UTF-8"], &["--locale=C"]]
    }
}

async fn run(
    mut command: Command,
    account: &Account,
    what: &'static str,
    input: &str,
) -> Result<Output, Error> {
    account.run(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = Path::new(command.get_program()).to_owned();
    let mut child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .at("cannot run", &program)?;
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.or_else(|error| match error.kind() {
                // It ended early: its own words say why.
                ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error),
            })?;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(INIT_DEADLINE, talk).await {
        Ok(output) => output.at("cannot run", &program),
        Err(_) => Err(Error::TimedOut { what: what.to_owned(), after: INIT_DEADLINE }),
    }
}

/// Megabytes of tables and indexes that PostgreSQL holds itself. What it has to fetch from the system's cache costs a search
/// over 100,000 passages a quarter of its time; a database for tests has little to hold.
fn shared_buffers(durability: Durability) -> u64 {
    if durability == Durability::FastForTests {
        return SHARED_BUFFERS.0;
    }
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    part_of_memory(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max"))
}

/// An eighth of the machine's memory, or of what this container may use, within [`SHARED_BUFFERS`].
fn part_of_memory(machine: &str, container: &str) -> u64 {
    let machine = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = machine.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let most = container.trim().parse::<u64>().map_or(u64::MAX, |bytes| bytes >> 20);
    let memory = kilobytes.map_or(0, |kilobytes| kilobytes >> 10).min(most);
    (memory / 8).clamp(SHARED_BUFFERS.0, SHARED_BUFFERS.1)
}

/// Arguments of the postmaster. Everything is set here and nothing in `postgresql.conf`, so that a
/// new annals brings its settings along.
pub(crate) fn arguments(pgdata: &Path, socket: &Path, options: &Options) -> Vec<String> {
    let socket = format!("\"{}\"", socket.display().to_string().replace('"', "\"\""));
    let mut settings = vec![
        ("listen_addresses", String::new()),
        ("unix_socket_directories", socket),
        ("unix_socket_permissions", "0700".to_owned()),
        ("port", PORT.to_string()),
        ("max_connections", options.max_connections.to_string()),
        ("shared_buffers", format!("{}MB", shared_buffers(options.durability))),
    ];
    let fixed = [
        ("cluster_name", "annals"),
        ("maintenance_work_mem", "128MB"),
        ("work_mem", "8MB"),
        ("wal_compression", "on"),
        ("max_wal_size", "1GB"),
        ("min_wal_size", "128MB"),
        ("checkpoint_timeout", "15min"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("log_min_messages", "warning"),
        // Statements and the values in them stay out of the log.
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("log_checkpoints", "off"),
        ("lc_messages", "C"),
    ];
    settings.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    let safety = match options.durability {
        Durability::Durable => "on",
        Durability::FastForTests => "off",
    };
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        settings.push((name, safety.to_owned()));
    }
    let mut arguments = vec!["-D".to_owned(), pgdata.display().to_string()];
    for (name, value) in settings {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::part_of_memory;

    #[test]
    fn postgresql_gets_an_eighth_of_the_memory_within_bounds() {
        let machine =
            |megabytes: u64| format!("MemTotal:  {} kB\nMemFree: 1 kB\n", megabytes << 10);
        assert_eq!(part_of_memory(&machine(2_048), "max\n"), 256);
        assert_eq!(part_of_memory(&machine(65_536), "max\n"), 512);
        assert_eq!(part_of_memory(&machine(65_536), &format!("{}\n", 1_u64 << 30)), 128);
        assert_eq!(part_of_memory("", ""), 128);
    }
}
