//! What the files of a release are for, told from their names.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A file of a release.
#[derive(Debug, Deserialize)]
pub(super) struct Asset {
    name: String,
    browser_download_url: String,
}

/// What a release has for one platform.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub platform: String,
    pub installer_url: Option<String>,
    pub updater_url: Option<String>,
    pub signature_url: Option<String>,
}

/// Endings of what people install, by system; of several the first is offered.
const INSTALLERS: [(&str, &str); 6] = [
    (".dmg", "darwin"),
    ("-setup.exe", "windows"),
    (".exe", "windows"),
    (".msi", "windows"),
    (".appimage", "linux"),
    (".deb", "linux"),
];

/// Endings of what clients update themselves from, likewise.
const UPDATERS: [(&str, &str); 5] = [
    (".nsis.zip", "windows"),
    ("-setup.zip", "windows"),
    (".msi.zip", "windows"),
    (".appimage.tar.gz", "linux"),
    (".app.tar.gz", "darwin"),
];

/// What is best of its kind so far.
type Best<'a> = Option<(usize, &'a Asset)>;

/// Files by platform, in the order of the platforms' names. What is for none of them is left out.
pub(super) fn grouped(assets: &[Asset]) -> Vec<Offered> {
    let mut found: BTreeMap<String, (Best<'_>, Best<'_>)> = BTreeMap::new();
    for asset in assets {
        let name = asset.name.to_lowercase();
        let installer = kind(&name, &INSTALLERS);
        // A signed installer updates as well, when there is nothing made for it.
        let signed = installer.filter(|_| signature(assets, asset).is_some());
        let updater = updater(&name)
            .or_else(|| signed.map(|(rank, system)| (rank + UPDATERS.len() + 1, system)));
        for (place, kind) in [(0, installer), (1, updater)] {
            let Some((rank, system)) = kind else { continue };
            for machine in machines(&name, system) {
                let (first, second) = found.entry(format!("{system}-{machine}")).or_default();
                let best = if place == 0 { first } else { second };
                if best.is_none_or(|(other, _)| rank < other) {
                    *best = Some((rank, asset));
                }
            }
        }
    }
    let url = |best: Best<'_>| best.map(|(_, asset)| asset.browser_download_url.clone());
    let offered = |(platform, (installer, updater)): (String, (Best<'_>, Best<'_>))| Offered {
        platform,
        installer_url: url(installer),
        updater_url: url(updater),
        signature_url: updater.and_then(|(_, asset)| signature(assets, asset)),
    };
    found.into_iter().map(offered).collect()
}

fn kind(name: &str, kinds: &[(&str, &'static str)]) -> Option<(usize, &'static str)> {
    let rank = kinds.iter().position(|(ending, _)| name.ends_with(ending))?;
    Some((rank, kinds[rank].1))
}

fn updater(name: &str) -> Option<(usize, &'static str)> {
    let apple = name.ends_with(".tar.gz") && ["darwin", "macos"].iter().any(|s| name.contains(s));
    kind(name, &UPDATERS).or_else(|| apple.then_some((UPDATERS.len(), "darwin")))
}

/// The machines a file is for. A Mac's file that does not say is for all Macs.
fn machines(name: &str, system: &str) -> &'static [&'static str] {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["aarch64", "arm64"]) {
        &["aarch64"]
    } else if says(&["x86_64", "x86-64", "x64", "amd64"]) {
        &["x86_64"]
    } else if says(&["i386", "i686", "ia32", "x86", "armhf", "armv7"]) {
        &[]
    } else if system == "darwin" {
        &["aarch64", "x86_64"]
    } else {
        &["x86_64"]
    }
}

fn signature(assets: &[Asset], of: &Asset) -> Option<String> {
    let is_it = |asset: &&Asset| asset.name.strip_suffix(".sig") == Some(of.name.as_str());
    assets.iter().find(is_it).map(|asset| asset.browser_download_url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<Offered> {
        let asset = |name: &&str| Asset {
            name: (*name).to_owned(),
            browser_download_url: format!("u/{name}"),
        };
        grouped(&names.iter().map(asset).collect::<Vec<_>>())
    }

    fn offered(platform: &str, [installer, updater, signature]: [&str; 3]) -> Offered {
        let url = |name: &str| (!name.is_empty()).then(|| format!("u/{name}"));
        Offered {
            platform: platform.to_owned(),
            installer_url: url(installer),
            updater_url: url(updater),
            signature_url: url(signature),
        }
    }

    #[test]
    fn files_are_told_apart_by_their_names() {
        let found = of(&[
            "Sage_1.0.0_x64_en-US.msi",
            "Sage_1.0.0_x64-setup.exe",
            "Sage_1.0.0_x64-setup.nsis.zip",
            "Sage_1.0.0_x64-setup.nsis.zip.sig",
            "Sage_1.0.0_x64_en-US.msi.zip",
            "Sage_1.0.0_aarch64.dmg",
            "Sage_aarch64.app.tar.gz",
            "Sage_aarch64.app.tar.gz.sig",
            "Sage_1.0.0_amd64.deb",
            "Sage_1.0.0_amd64.AppImage",
            "Sage_1.0.0_amd64.AppImage.tar.gz",
            "Sage_1.0.0_arm64.deb",
            "checksums.txt",
            "source.tar.gz",
            "Sage_1.0.0_i686.exe",
        ]);
        let expected = [
            offered(
                "darwin-aarch64",
                [
                    "Sage_1.0.0_aarch64.dmg",
                    "Sage_aarch64.app.tar.gz",
                    "Sage_aarch64.app.tar.gz.sig",
                ],
            ),
            offered("linux-aarch64", ["Sage_1.0.0_arm64.deb", "", ""]),
            offered(
                "linux-x86_64",
                ["Sage_1.0.0_amd64.AppImage", "Sage_1.0.0_amd64.AppImage.tar.gz", ""],
            ),
            offered(
                "windows-x86_64",
                [
                    "Sage_1.0.0_x64-setup.exe",
                    "Sage_1.0.0_x64-setup.nsis.zip",
                    "Sage_1.0.0_x64-setup.nsis.zip.sig",
                ],
            ),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_universal_build_is_for_both_macs() {
        let found = of(&["Sage_universal.dmg", "sage-darwin-x86_64.tar.gz"]);
        let expected = [
            offered("darwin-aarch64", ["Sage_universal.dmg", "", ""]),
            offered("darwin-x86_64", ["Sage_universal.dmg", "sage-darwin-x86_64.tar.gz", ""]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_signed_installer_updates_when_nothing_else_does() {
        let found = of(&["a_x64-setup.exe", "a_x64-setup.exe.sig", "a_x64.msi"]);
        let expected = ["a_x64-setup.exe", "a_x64-setup.exe", "a_x64-setup.exe.sig"];
        assert_eq!(found, [offered("windows-x86_64", expected)]);
    }
}
