//! The table in `tests/REQUIREMENTS.md`: every key once, every named test real.
//!
//! A row is `| C14 | what is promised | tests |`. The last column holds `not yet`, or the tests that show it,
//! each as `path/to/file.rs::name_of_the_test`, apart by spaces or `<br>`. Such a test must exist, be a test,
//! and name the key in its doc comment, so that the table and the tests cannot drift apart unseen.

use std::collections::BTreeMap;

use crate::source;

/// The series of keys and how many each has.
pub const SERIES: &[(char, u32)] = &[('A', 15), ('B', 37), ('E', 17), ('C', 44), ('D', 14)];

/// What stands in the last column while nothing shows the requirement.
pub const NOT_YET: &str = "not yet";

/// Everything wrong with the table, in words that name the line or the key. `file` gives the text of a file
/// named from the root of the checkout.
#[must_use]
pub fn faults(table: &str, file: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, line) in table.lines().enumerate() {
        match Row::parse(line) {
            None => {}
            Some(Err(fault)) => faults.push(format!("line {}: {fault}", index + 1)),
            Some(Ok(row)) => {
                if let Some(first) = seen.insert(row.key.to_owned(), index + 1) {
                    faults.push(format!("{} stands on lines {first} and {}", row.key, index + 1));
                }
                faults.extend(row.faults(&file));
            }
        }
    }
    let missing = keys().filter(|key| !seen.contains_key(key));
    faults.extend(missing.map(|key| format!("{key} has no line")));
    faults
}

/// Every key there must be.
pub fn keys() -> impl Iterator<Item = String> {
    let series = SERIES.iter();
    series.flat_map(|&(letter, count)| (1..=count).map(move |number| format!("{letter}{number}")))
}

/// One line of the table.
struct Row<'a> {
    key: &'a str,
    words: &'a str,
    tests: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// None for a line that is no row: prose, a heading, the head of a table.
    fn parse(line: &'a str) -> Option<Result<Self, String>> {
        let inner = line.trim().strip_prefix('|')?;
        let inner = inner.strip_suffix('|').unwrap_or(inner);
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let first = cells.first().copied().unwrap_or_default();
        if first == "Key" || first.chars().all(|c| matches!(c, '-' | ':')) {
            return None;
        }
        let [key, words, tests] = cells[..] else {
            return Some(Err(format!("three columns expected, {} found", cells.len())));
        };
        if !keys().any(|known| known == key) {
            return Some(Err(format!("`{key}` is no key")));
        }
        let tests = if tests == NOT_YET {
            Vec::new()
        } else {
            let apart = tests.split("<br>").flat_map(str::split_whitespace);
            let named: Vec<_> = apart.map(|test| test.trim_matches('`')).collect();
            if named.is_empty() {
                return Some(Err(format!("{key} names no test and does not say `{NOT_YET}`")));
            }
            named
        };
        Some(Ok(Self { key, words, tests }))
    }

    fn faults(&self, file: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let key = self.key;
        let mut faults = Vec::new();
        if self.words.is_empty() {
            faults.push(format!("{key} says nothing"));
        }
        for test in &self.tests {
            if let Err(fault) = check(key, test, &file) {
                faults.push(format!("{key}: {fault}"));
            }
        }
        faults
    }
}

fn check(key: &str, test: &str, file: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let Some((stem, name)) = test.split_once(".rs::") else {
        return Err(format!("`{test}` is not of the form path.rs::name"));
    };
    let path = format!("{stem}.rs");
    let text = file(&path).ok_or_else(|| format!("there is no file `{path}`"))?;
    let found = TestFn::find(&text, name).ok_or_else(|| format!("`{path}` has no `fn {name}`"))?;
    if !found.is_test {
        return Err(format!("`{name}` in `{path}` is no test"));
    }
    if !names(&found.docs, key) {
        return Err(format!("the doc comment of `{name}` in `{path}` does not name {key}"));
    }
    Ok(())
}

/// What stands directly above a function.
struct TestFn {
    docs: String,
    is_test: bool,
}

impl TestFn {
    fn find(text: &str, name: &str) -> Option<Self> {
        let code = source::code(text);
        let code: Vec<&str> = code.lines().collect();
        let lines: Vec<&str> = text.lines().collect();
        let at = code.iter().position(|line| declares(line, name))?;
        let mut found = Self { docs: String::new(), is_test: false };
        for index in (0..at).rev() {
            let (line, code) = (lines[index].trim(), code[index].trim());
            if let Some(doc) = line.strip_prefix("///") {
                found.docs.insert_str(0, doc);
                found.docs.insert(0, '\n');
            } else if line.is_empty() || code.ends_with(['{', '}', ';']) {
                break;
            } else if code.starts_with("#[") && is_test_attribute(code) {
                found.is_test = true;
            }
        }
        Some(found)
    }
}

/// `#[test]`, `#[tokio::test]`, `#[tokio::test(start_paused = true)]` and their like.
fn is_test_attribute(code: &str) -> bool {
    let path = code.trim_start_matches("#[");
    let path = path.split(['(', ']', ' ']).next().unwrap_or_default();
    path.rsplit("::").next() == Some("test")
}

fn declares(code: &str, name: &str) -> bool {
    code.match_indices("fn ").any(|(at, keyword)| {
        let rest = code[at + keyword.len()..].trim_start();
        rest.strip_prefix(name).is_some_and(|after| after.starts_with(['(', '<']))
    })
}

/// Whether the text has the key as a word: `C1` does not stand in `C14`.
fn names(text: &str, key: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "tests/it/src/life.rs";
    const TEXT: &str = "\
/// Shows A1 and C14.
#[tokio::test(start_paused = true)]
async fn a_claim() {}

/// Shows A1.
fn no_test() {}

// #[test] fn gone() {}
";

    /// The faults of a table in which every key says `not yet`, after `doctor` has been at its lines.
    fn doctored(doctor: impl Fn(&mut Vec<String>)) -> Vec<String> {
        let mut lines: Vec<String> = keys().map(|key| format!("| {key} | words | not yet |")).collect();
        doctor(&mut lines);
        let table = format!("# Title\n\n| Key | Promise | Tests |\n|---|---|---|\n{}\n", lines.join("\n"));
        faults(&table, |path| (path == FILE).then(|| TEXT.to_owned()))
    }

    fn with_tests(tests: &str) -> Vec<String> {
        doctored(|lines| lines[0] = format!("| A1 | words | {tests} |"))
    }

    #[test]
    fn a_whole_table_is_accepted() {
        assert_eq!(doctored(|_| {}), [""; 0]);
        assert_eq!(with_tests("`tests/it/src/life.rs::a_claim`"), [""; 0]);
    }

    #[test]
    fn there_are_as_many_keys_as_promises() {
        assert_eq!(keys().count(), 127);
    }

    #[test]
    fn a_missing_key_is_found() {
        let faults = doctored(|lines| drop(lines.remove(16)));
        assert_eq!(faults, ["B2 has no line"]);
    }

    #[test]
    fn a_key_on_two_lines_is_found() {
        let faults = doctored(|lines| lines.push(lines[0].clone()));
        assert_eq!(faults, ["A1 stands on lines 5 and 132"]);
    }

    #[test]
    fn an_unknown_key_is_found() {
        let faults = doctored(|lines| lines.push("| C45 | words | not yet |".into()));
        assert_eq!(faults, ["line 132: `C45` is no key"]);
    }

    #[test]
    fn a_row_without_words_or_columns_is_found() {
        let faults = doctored(|lines| lines[0] = "| A1 |  | not yet |".into());
        assert_eq!(faults, ["A1 says nothing"]);
        let faults = doctored(|lines| lines.push("| A1 | words |".into()));
        assert_eq!(faults, ["line 132: three columns expected, 2 found"]);
    }

    #[test]
    fn an_empty_last_column_is_found() {
        let faults = with_tests("");
        assert!(faults[0].contains("names no test"), "{faults:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_found() {
        let faults = with_tests("tests/it/src/gone.rs::a_claim");
        assert_eq!(faults, ["A1: there is no file `tests/it/src/gone.rs`"]);
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        for gone in ["a_clai", "a_claims", "gone"] {
            let faults = with_tests(&format!("{FILE}::a_claim<br>{FILE}::{gone}"));
            assert_eq!(faults, [format!("A1: `{FILE}` has no `fn {gone}`")]);
        }
    }

    #[test]
    fn a_function_that_is_no_test_is_found() {
        let faults = with_tests(&format!("{FILE}::no_test"));
        assert_eq!(faults, [format!("A1: `no_test` in `{FILE}` is no test")]);
    }

    #[test]
    fn a_test_that_does_not_name_the_key_is_found() {
        let faults = doctored(|lines| lines[52] = format!("| C1 | words | {FILE}::a_claim |"));
        assert!(faults.iter().any(|fault| fault.ends_with("does not name C1")), "{faults:?}");
    }

    #[test]
    fn a_reference_of_another_form_is_found() {
        let faults = with_tests("a_claim and not yet");
        assert_eq!(faults.len(), 4, "{faults:?}");
    }
}
