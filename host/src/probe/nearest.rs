//! "Did you mean": which of the names there are comes nearest to one that is not there.

/// No name there is comes near to a longer one, and comparing takes time in proportion.
const LONGEST: usize = 128;
/// Below this likeness, from 0 to 1, a suggestion would be noise.
const ALIKE: f64 = 0.6;
/// How many names to suggest.
const MOST: usize = 3;

fn likeness(wanted: &str, candidate: &str) -> f64 {
    // Jaro-Winkler favours a common start, in which most names of one category agree; edits find the typos.
    strsim::normalized_damerau_levenshtein(wanted, candidate)
}

/// The names nearest to the wanted one, the nearest first. Each candidate also gives the part of it that may
/// be meant alone: `read` is near to `syscalls:read`, whatever the category.
pub(crate) fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let wanted_last = wanted.rsplit(':').next().unwrap_or(wanted);
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            let whole = likeness(wanted, candidate);
            let last = candidate.rsplit(':').next().unwrap_or(candidate);
            (whole.max(likeness(wanted_last, last)), candidate)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.truncate(MOST);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// "did you mean `a`, `b` or `c`?", if anything is near.
pub(crate) fn did_you_mean<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let names = nearest(wanted, candidates);
    (!names.is_empty()).then(|| format!("did you mean {}?", one_of(names)))
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_wrong_categories_find_their_name() {
        let names = ["syscalls:sys_enter_read", "syscalls:sys_enter_write", "sched:sched_switch"];
        assert_eq!(nearest("syscalls:sys_entr_read", names)[0], "syscalls:sys_enter_read");
        assert_eq!(nearest("scheduler:sched_switch", names), ["sched:sched_switch"]);
        assert_eq!(nearest("quantile", names), Vec::<&str>::new());
        assert_eq!(nearest(&"x".repeat(1 << 20), names), Vec::<&str>::new());
    }

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
