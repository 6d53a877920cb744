//! Which file a program's or a library's name means.
//!
//! Libraries are found as the loader finds them: in its cache, whose format is `struct cache_file_new` in
//! glibc's sysdeps/generic/dl-cache.h, and then in the folders that it searches (ld.so(8)).

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf, absolute};

use super::btf::read_u32;
use super::nearest::did_you_mean;
use crate::error::{Error, Kind, Result};
use crate::escape::escape;

/// The largest cache of the loader that is read. One of 500 libraries has 34 KiB.
const LARGEST_CACHE: u64 = 16 << 20;
/// Libraries in the cache that are looked at; more of them could all point to one long path.
const MOST_LIBRARIES: usize = 20_000;
/// The longest path that the cache may hold (`PATH_MAX` in include/uapi/linux/limits.h).
const LONGEST_PATH: usize = 4096;
/// Entries of one folder that are looked at: a folder may be on a filesystem that invents them.
const MOST_ENTRIES: usize = 100_000;
/// Folders of $PATH that are searched.
const MOST_FOLDERS: usize = 256;
/// Names that a name which is not there is compared with.
const MOST_COMPARED: usize = 20_000;

const CACHE: &str = "/etc/ld.so.cache";
/// The file that is meant: a path as it is, a program of $PATH, or a library, as `libc`, `libc.so.6` or `c`.
pub(crate) fn locate(name: &str) -> Result<PathBuf> {
    Places::of_this_machine().find(name)
}

/// Where names are looked up.
#[derive(Debug)]
struct Places {
    programs: Vec<PathBuf>,
    libraries: Vec<Library>,
    folders: Vec<PathBuf>,
}

impl Places {
    fn of_this_machine() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut cache = Vec::new();
        // A machine without glibc has no cache, and its folders are searched.
        if let Ok(file) = fs::File::open(CACHE)
            && file.take(LARGEST_CACHE).read_to_end(&mut cache).is_err()
        {
            cache.clear();
        }
        Self { programs: programs(&path), libraries: libraries(&cache), folders: folders() }
    }

    fn find(&self, name: &str) -> Result<PathBuf> {
        if name.contains('/') {
            let path = absolute(name)?;
            return match path.is_file() {
                true => Ok(path),
                false => {
                    Err(Error::new(Kind::NoInput, format!("there is no file `{}`", name.escape_debug())))
                }
            };
        }
        // `libc` and `libc.so.6` are libraries; another name is a program first: `curl` is not libcurl.
        let found = match name.starts_with("lib") || name.contains(".so") {
            true => self.library(name).or_else(|| self.program(name)),
            false => self.program(name).or_else(|| self.library(name)),
        };
        found.ok_or_else(|| self.absent(name))
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.iter().map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    fn library(&self, name: &str) -> Option<PathBuf> {
        let ranked = |library: &&Library| Rank::of(name, library.name.as_ref(), &library.path);
        let cached = self.libraries.iter().filter(|library| ranked(library).is_some());
        // Of those that rank alike the first is taken, as the loader does.
        let best = cached.rev().max_by_key(ranked).map(|library| library.path.clone());
        best.filter(|path| is_elf(path))
            .or_else(|| self.folders.iter().find_map(|folder| in_folder(folder, name)))
    }

    fn absent(&self, name: &str) -> Error {
        let mut folders: Vec<String> = self.programs.iter().map(|folder| escape_path(folder)).collect();
        folders.push(format!("the loader's cache ({} libraries)", self.libraries.len()));
        folders.extend(self.folders.iter().map(|folder| escape_path(folder)));
        let shown = name.escape_debug();
        let message = format!("no program or library is named `{shown}`; searched {}", folders.join(", "));
        let mut names: Vec<String> =
            self.libraries.iter().map(|library| stem(&library.name).to_owned()).collect();
        for folder in &self.programs {
            names.extend(entries(folder));
        }
        names.retain(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
        names.truncate(MOST_COMPARED);
        names.sort();
        names.dedup();
        let help = did_you_mean(name, names.iter().map(String::as_str));
        Error::new(Kind::NoInput, message).help(help.unwrap_or_else(|| "give its path".to_owned()))
    }
}

fn escape_path(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}

/// Where libraries are, those of distributions with several word sizes first: what stands in their /lib and
/// /usr/lib may be for 32 bits.
fn folders() -> Vec<PathBuf> {
    let triple = if cfg!(target_arch = "x86_64") { "x86_64-linux-gnu" } else { "aarch64-linux-gnu" };
    let of_triple = ["/lib", "/usr/lib"].map(|folder| Path::new(folder).join(triple));
    let plain = ["/lib64", "/usr/lib64", "/usr/local/lib", "/lib", "/usr/lib"].map(PathBuf::from);
    of_triple.into_iter().chain(plain).collect()
}

/// The folders of $PATH. One that is relative means another with every working directory, and is left out.
fn programs(path: &OsStr) -> Vec<PathBuf> {
    env::split_paths(path).filter(|folder| folder.is_absolute()).take(MOST_FOLDERS).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether this is an ELF file. A library without a version may be a text for the linker.
fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    path.is_file()
        && fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == object::elf::ELFMAG
}

/// The names in a folder; none if it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES);
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

fn in_folder(folder: &Path, name: &str) -> Option<PathBuf> {
    let ranked =
        entries(folder).filter_map(|entry| Some((Rank::of(name, &entry, folder)?, folder.join(entry))));
    ranked.filter(|(_, path)| is_elf(path)).max().map(|(_, path)| path)
}

/// `libc` of `libc.so.6`.
fn stem(name: &str) -> &str {
    name.split_once(".so").map_or(name, |(stem, _)| stem)
}

/// How well a library answers to a name, the best the greatest: the newest, and of that the build for the
/// best processor that this one is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    version: Vec<u32>,
    processor: u32,
}

impl Rank {
    /// `None` if the file is another library, or not for this processor.
    fn of(name: &str, file: &str, path: &Path) -> Option<Self> {
        let (stem, version) = file.split_once(".so")?;
        // `libc.so` is `libc`: where a file has this name, it is a link or a text for compilers.
        let name = name.strip_suffix(".so").unwrap_or(name);
        let meant = match name.contains(".so") {
            true => file == name,
            false => stem == name || stem.strip_prefix("lib") == Some(name),
        };
        // `libc.so.6` and `libc.so`, but not `libfoo.sort`.
        if !meant || !(version.is_empty() || version.starts_with('.')) {
            return None;
        }
        // Parts that are no numbers count as none: `libgcc_s.so.1-devel` is not newer than `libgcc_s.so.1`.
        let parts = version.split('.').skip(1);
        let version = parts.map(|part| part.parse().unwrap_or(0)).collect();
        Some(Self { version, processor: processor(path)? })
    }
}

/// Rank of the processors that a path is for, of the folders `glibc-hwcaps/x86-64-v3` and so on (ld.so(8));
/// `None` if this processor is none of them, whose programs load another file.
fn processor(path: &Path) -> Option<u32> {
    let mut parts = path.iter().skip_while(|part| *part != "glibc-hwcaps").skip(1);
    let Some(level) = parts.next().and_then(OsStr::to_str) else { return Some(0) };
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        // The levels of the x86-64 psABI, by the features that tell them from the level below.
        let second = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt");
        let vectors = has!("avx") && has!("avx2") && has!("f16c") && has!("fma");
        let third = second && vectors && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("movbe");
        let wide = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq");
        let fourth = third && wide && has!("avx512vl");
        match level {
            "x86-64-v2" if second => return Some(2),
            "x86-64-v3" if third => return Some(3),
            "x86-64-v4" if fourth => return Some(4),
            _ => {}
        }
    }
    // Other machines have no such levels in glibc.
    let _ = level;
    None
}

/// An entry of the loader's cache.
#[derive(Debug, PartialEq, Eq)]
struct Library {
    name: String,
    path: PathBuf,
}

/// The libraries in the loader's cache that programs of this machine can load; none if it is not understood.
fn libraries(cache: &[u8]) -> Vec<Library> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    /// DL_CACHE_HWCAP_EXTENSION: the path says which hardware is needed. In other words it is said by bits
    /// that only old loaders know.
    const BY_PATH: u64 = 1 << 62;
    // FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64 (sysdeps/generic/ldconfig.h).
    let wanted: u32 = if cfg!(target_arch = "x86_64") { 0x0303 } else { 0x0a03 };

    // An old table may come first, aligned to 8 bytes. Strings count from where the new one begins.
    let start = match cache.starts_with(OLD_MAGIC) {
        true => read_u32(cache, 12).and_then(|count| (count as usize).checked_mul(12)?.checked_add(16 + 7)),
        false => Some(7),
    };
    let Some(cache) = start.and_then(|start| cache.get(start & !7..)) else { return Vec::new() };
    if !cache.starts_with(MAGIC) {
        return Vec::new();
    }
    let count = read_u32(cache, MAGIC.len()).unwrap_or(0) as usize;
    let string = |at: usize| {
        let rest = cache.get(at..)?;
        let rest = rest.get(..LONGEST_PATH).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    };
    let entries = cache.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).take(count.min(MOST_LIBRARIES));
    let library = |entry: &[u8]| {
        let hardware = u64::from_le_bytes(entry.get(16..24)?.try_into().ok()?);
        if read_u32(entry, 0)? != wanted || hardware != 0 && hardware & BY_PATH == 0 {
            return None;
        }
        let (name, path) = (string(read_u32(entry, 4)? as usize)?, string(read_u32(entry, 8)? as usize)?);
        path.starts_with('/').then(|| Library { name: name.to_owned(), path: path.into() })
    };
    entries.filter_map(library).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, path, flags, hardware.
    type Entry<'a> = (&'a str, &'a str, u32, u64);

    const HERE: u32 = if cfg!(target_arch = "x86_64") { 0x0303 } else { 0x0a03 };

    fn cache(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.resize(48, 0);
        let mut string = |text: &str| {
            let at = (48 + entries.len() * 24 + strings.len()) as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        for (name, path, flags, hardware) in entries {
            for word in [*flags, string(name), string(path), 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(hardware.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn the_newest_library_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, contents: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, contents).unwrap();
            path
        };
        let elf = b"\x7fELF and more";
        let names =
            ["libssl.so.1.1", "libssl.so.3", "libssl.so.9", "libssl.so.10", "libssl.so", "a/libz.so.1"];
        let [old, three, nine, ten, plain, z] = names.map(|name| place(name, elf).display().to_string());
        let level = place("glibc-hwcaps/x86-64-v9/libz.so.1", elf).display().to_string();
        let entries = [
            ("libssl.so", &plain[..], HERE, 0),
            ("libssl.so.3", &three[..], HERE, 0),
            ("libssl.so.1.1", &old[..], HERE, 0),
            ("libssl.so.9", &nine[..], 0x0003, 0),
            ("libssl.so.10", &ten[..], HERE, 1 << 50),
            ("libz.so.1", &level[..], HERE, 1 << 62),
            ("libz.so.1", &z[..], HERE, 0),
            ("libsslfoo.so.4", &nine[..], HERE, 0),
        ];
        let mut bytes = b"ld.so-1.7.0\0".to_vec();
        bytes.extend(1_u32.to_le_bytes());
        bytes.resize(32, 0);
        bytes.extend(cache(&entries));
        for bytes in [cache(&entries), bytes] {
            let places = Places { programs: Vec::new(), libraries: libraries(&bytes), folders: Vec::new() };
            let find = |name: &str| places.find(name).map(|path| path.display().to_string());
            assert_eq!(find("ssl").as_ref(), Ok(&three));
            assert_eq!(find("libssl").as_ref(), Ok(&three));
            assert_eq!(find("libssl.so").as_ref(), Ok(&three));
            assert_eq!(find("libssl.so.1.1").as_ref(), Ok(&old));
            assert_eq!(find("z").as_ref(), Ok(&z));
            let error = find("libsssl").unwrap_err();
            assert_eq!(error.help.as_deref(), Some("did you mean `libssl`?"));
            find("libssl.so.9").unwrap_err();
            find("").unwrap_err();
        }
        // Without a cache, in folders; a text for the linker is no library.
        place("libtext.so", b"GROUP ( libtext.so.6 )");
        let folders = vec![folder.path().join("absent"), folder.path().to_owned()];
        let places = Places { programs: Vec::new(), libraries: Vec::new(), folders };
        assert_eq!(places.find("ssl"), Ok(folder.path().join("libssl.so.10")));
        places.find("text").unwrap_err();
    }

    #[test]
    fn programs_and_paths() {
        let shell = locate("sh").unwrap();
        assert!(shell.is_absolute() && is_program(&shell));
        assert_eq!(locate("/bin/sh"), Ok("/bin/sh".into()));
        assert_eq!(locate("/bin/nothing-of-this-name").unwrap_err().kind, Kind::NoInput);
        let error = locate("nothing-of-this-name").unwrap_err();
        assert!(error.message.contains("/lib") && error.kind == Kind::NoInput, "{error}");
        assert_eq!(programs(OsStr::new(".:relative::/bin")), [PathBuf::from("/bin")]);
    }

    #[test]
    fn this_machines_cache_is_understood() {
        let Ok(bytes) = fs::read(CACHE) else { return eprintln!("not run: no {CACHE}") };
        let libraries = libraries(&bytes);
        assert!(libraries.iter().any(|library| library.name == "libc.so.6"), "{libraries:?}");
        assert_eq!(locate("libc"), locate("c"));
        assert_eq!(locate("libc"), locate("libc.so.6"));
    }

    proptest! {
        #[test]
        fn no_cache_panics(
            any in prop::collection::vec(any::<u8>(), 0..200),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut bytes = cache(&[("libc.so.6", "/lib/libc.so.6", HERE, 0), ("libz.so", "/lib/libz.so", HERE, 1)]);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let old = [b"ld.so-1.7.0", &any[..]].concat();
            for bytes in [bytes, old, any] {
                libraries(&bytes);
            }
        }
    }
}
