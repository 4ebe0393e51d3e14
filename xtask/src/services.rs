//! Installs what the tests need from Debian's archive. The tests start private servers themselves, on free
//! ports and in temporary folders; nothing here runs in the background.

use std::path::Path;
use std::process::Command;

use crate::stage::{Stage, answers};

/// Server binaries are not on the path in Debian; the first folder that has them is used.
const SERVER_FOLDERS: &[&str] =
    &["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin"];
const PACKAGES: &[&str] = &["postgresql-15", "postgresql-17", "postgresql"];

/// Checks for PostgreSQL's server and client, and installs them where they are missing.
pub(crate) fn run() -> crate::Answer {
    if let Some(folder) = server_folder()
        && answers(&["psql", "--version"])
    {
        println!("== services: PostgreSQL server in {folder}, psql on the path");
        return Ok(());
    }
    install()?;
    match server_folder() {
        Some(folder) => {
            println!("== services: PostgreSQL server in {folder}");
            Ok(())
        }
        None => Err(format!("services: no initdb in any of {SERVER_FOLDERS:?} after the installation")),
    }
}

fn server_folder() -> Option<&'static str> {
    SERVER_FOLDERS.iter().copied().find(|folder| Path::new(folder).join("initdb").exists())
}

fn install() -> crate::Answer {
    if !answers(&["apt-get", "--version"]) {
        return Err(
            "services: this system has no apt-get; install PostgreSQL 15 or later and put its server \
                    binaries in /usr/lib/postgresql/<version>/bin"
                .to_owned(),
        );
    }
    println!("== services: PostgreSQL is missing; installing it from Debian's archive");
    if !is_root() {
        return Err("services: not root; run `sudo apt-get install postgresql` and repeat".to_owned());
    }
    apt(&["apt-get", "update", "-qq"]).run()?;
    let known = |package: &&&str| answers(&["apt-cache", "show", package]);
    match PACKAGES.iter().find(known) {
        Some(&"postgresql-15") => apt(&["apt-get", "install", "-y", "-qq", "postgresql-15"]).run(),
        Some(&"postgresql-17") => apt(&["apt-get", "install", "-y", "-qq", "postgresql-17"]).run(),
        _ => apt(&["apt-get", "install", "-y", "-qq", "postgresql"]).run(),
    }
}

fn apt(command: &'static [&'static str]) -> Stage {
    Stage { name: "services", command, env: &[("DEBIAN_FRONTEND", "noninteractive")] }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
