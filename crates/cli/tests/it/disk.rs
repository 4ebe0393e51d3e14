//! Disks that run full: what somebody else fills to the last byte, and what the engine keeps free for itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::HEAD;
use crate::receivers::Behaviour;
use crate::stage::until;

/// Room for a store whose every file system block is counted.
const DISK: &str = "48m";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_below_its_reserve_refuses_changes_while_deliveries_go_on_and_needs_no_restart() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    let Some(disk) = Disk::mount(scene.stage.path("data")) else { return };
    let head = HEAD.replace("  path: data\n", "  path: data\n  reserve_mib: 12\n");
    scene.stage.reconfigure(config(&head, &scene.crm));
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.crm.behave(Behaviour::Answering(503));
    scene.add(0..100).await;
    let waiting = async || (scene.stage.lane("crm").await?["lag"].as_u64()? >= 200).then_some(());
    until("a hundred customers wait for their receiver", waiting).await;
    let ballast = disk.fill(10 << 20);
    scene.add(100..200).await;
    scene.source_says("WRIT-5001").await;
    scene.crm.behave(Behaviour::Healthy);
    scene.arrived(100).await;
    assert_eq!(scene.stage.ended(), None, "the engine runs: {}", scene.stage.log());
    ballast.remove();
    scene.arrived(200).await;
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    let audit = scene.stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}\n{}", scene.stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_one_clear_error_and_capture_goes_on_when_there_is_room() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    let Some(disk) = Disk::mount(scene.stage.path("data")) else { return };
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.add(0..10).await;
    scene.arrived(10).await;
    let ballast = disk.fill(0);
    scene.add(10..2_010).await;
    let told = async || {
        let source =
            scene.stage.source().await.and_then(|source| source["error"].as_str().map(str::to_owned));
        let logged = scene.stage.log();
        let is_told = source.is_some_and(|error| error.contains("WRIT-5001")) || logged.contains("WRIT-5001");
        is_told.then_some(())
    };
    until("the full disk is told", told).await;
    ballast.remove();
    // An engine that had to stop is started again by its supervisor.
    let has_stopped = until("the engine goes on or stops", async || {
        if scene.crm.events() >= 4_020 { Some(false) } else { scene.stage.ended().map(|_| true) }
    });
    if has_stopped.await {
        scene.stage.start().await;
    }
    scene.arrived(2_010).await;
    // What the audit log missed it is fed at the next start at the latest.
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    scene.stage.start().await;
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    let audit = scene.stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}\n{}", scene.stage.log());
}

/// A small file system of its own, unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    /// `None`, with a loud line, where this user may not mount.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).expect("make the folder");
        let size = format!("size={DISK}");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        let demanded = std::env::var("WRIT_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!demanded, "WRIT_REQUIRE_SERVICES=1, but this user cannot mount a file system");
        eprintln!("SKIPPED, NOTHING PROVEN: this user cannot mount a small file system to fill");
        None
    }

    /// Writes a file until no more than so many bytes are free.
    fn fill(&self, free: u64) -> Ballast {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).expect("create the ballast");
        while self.free() > free && file.write_all(&[0; 4096]).is_ok() {}
        Ballast(path)
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.0).expect("ask the disk");
        found.f_bavail * found.f_frsize
    }
}

/// What keeps the disk full.
struct Ballast(PathBuf);

impl Ballast {
    fn remove(self) {
        fs::remove_file(self.0).expect("free the disk");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The engine that has files open here is killed a little later; a lazy unmount does not mind.
        let _unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
