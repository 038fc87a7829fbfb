//! Rust source read as text: what is code, and what of it is compiled into the product.
//!
//! Everything works on characters and keeps lines where they are, so that a finding can be named by its line.

/// The code of a source: comments and the insides of string and character literals become spaces.
#[must_use]
pub fn code(text: &str) -> String {
    Blanker::new(text).run()
}

/// The code that is compiled into the product: items under `#[cfg(test)]` or `#[cfg(all(test, ..))]` become
/// spaces too. Takes what [`code`] gave.
#[must_use]
pub fn product(code: &str) -> String {
    let mut kept: Vec<char> = code.chars().collect();
    for (start, end) in test_items(&kept) {
        for character in &mut kept[start..end] {
            if *character != '\n' {
                *character = ' ';
            }
        }
    }
    kept.into_iter().collect()
}

/// The names of modules that are declared for tests only and live in a file of their own
/// (`#[cfg(test)] mod tests;`). Takes what [`code`] gave.
#[must_use]
pub fn test_modules(code: &str) -> Vec<String> {
    let characters: Vec<char> = code.chars().collect();
    let mut modules = Vec::new();
    for (start, end) in test_items(&characters) {
        let item: String = characters[start..end].iter().collect();
        let Some(declaration) = item.trim_end().strip_suffix(';') else {
            continue;
        };
        let mut words = declaration.rsplit(char::is_whitespace);
        let (name, keyword) = (words.next(), words.next());
        if let (Some(name), Some("mod")) = (name, keyword) {
            modules.push(name.to_owned());
        }
    }
    modules
}

/// The lines, counted from 1, on which `needle` stands.
#[must_use]
pub fn lines_with(text: &str, needle: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| line.contains(needle)).map(|(index, _)| index + 1).collect()
}

/// Where each item for tests begins and ends, its attribute included.
fn test_items(code: &[char]) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if is_test_attribute(&code[at..]) {
            let end = item_end(code, at);
            items.push((at, end));
            at = end;
        } else {
            at += 1;
        }
    }
    items
}

fn is_test_attribute(code: &[char]) -> bool {
    /// Long enough for the forms looked for, with a space or two in them.
    const LENGTH: usize = 40;
    if code.first() != Some(&'#') {
        return false;
    }
    let start = code.iter().take(LENGTH).filter(|c| !c.is_whitespace());
    let start: String = start.collect();
    start.starts_with("#[cfg(test)]") || start.starts_with("#[cfg(all(test,")
}

/// The end of the item whose first attribute begins at `start`: after its block, or after its semicolon.
fn item_end(code: &[char], start: usize) -> usize {
    let mut round = 0_usize;
    let mut curly = 0_usize;
    for (index, character) in code.iter().enumerate().skip(start) {
        match character {
            '(' | '[' => round += 1,
            ')' | ']' => round = round.saturating_sub(1),
            '{' => curly += 1,
            '}' => {
                curly = curly.saturating_sub(1);
                if curly == 0 && round == 0 {
                    return index + 1;
                }
            }
            ';' if curly == 0 && round == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

/// Goes through a source once and blanks what is not code.
struct Blanker {
    text: Vec<char>,
    at: usize,
    out: String,
}

impl Blanker {
    fn new(text: &str) -> Self {
        Self { text: text.chars().collect(), at: 0, out: String::with_capacity(text.len()) }
    }

    fn run(mut self) -> String {
        while let Some(character) = self.peek(0) {
            match (character, self.peek(1)) {
                ('/', Some('/')) => self.blank_while(|c| c != '\n'),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !self.in_word() => self.raw_string(),
                ('\'', _) => self.quote(),
                _ => self.keep(),
            }
        }
        self.out
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        if let Some(character) = self.peek(0) {
            self.out.push(character);
            self.at += 1;
        }
    }

    fn blank(&mut self) {
        if let Some(character) = self.peek(0) {
            self.out.push(if character == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn blank_while(&mut self, is_in: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&is_in) {
            self.blank();
        }
    }

    /// Whether the `r` here ends a longer name. The prefixes `b` and `c` of a raw literal are not one.
    fn in_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.text[at]);
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match before(1) {
            Some('b' | 'c') => is_word(before(2)),
            other => is_word(other),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(character) = self.peek(0) {
            match (character, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.blank();
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.blank();
                }
                _ => {}
            }
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(character) = self.peek(0) {
            match character {
                '"' => return self.keep(),
                '\\' => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    /// `r"..."`, `r#"..."#`, ...; a raw identifier (`r#fn`) has no quote and is kept.
    fn raw_string(&mut self) {
        let hashes = self.text[self.at + 1..].iter().take_while(|&&c| c == '#').count();
        for _ in 0..=hashes {
            self.keep();
        }
        if self.peek(0) != Some('"') {
            return;
        }
        self.keep();
        while let Some(character) = self.peek(0) {
            let closes = (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if character == '"' && closes {
                for _ in 0..=hashes {
                    self.keep();
                }
                return;
            }
            self.blank();
        }
    }

    /// A character literal, or else the mark of a lifetime.
    fn quote(&mut self) {
        self.keep();
        match (self.peek(0), self.peek(1)) {
            (Some('\\'), _) => {
                self.blank();
                self.blank();
                self.blank_while(|c| c != '\'');
                self.keep();
            }
            (Some(_), Some('\'')) => {
                self.blank();
                self.keep();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "a // x.unwrap()\n/* b /* x */ \n c */ d(\"x.unwrap()\", 'x', '\\'', r#\"x \" \"#, b\"x\")";
        let code = code(text);
        assert!(!code.contains('x'), "{code}");
        assert!(!code.contains('b') || code.contains("b\" \""), "{code}");
        assert!(code.contains("d(\""), "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        let text = "fn f<'a>(r#type: &'a str, bar: &'static str) { x.unwrap() }";
        assert_eq!(code(text), text);
    }

    #[test]
    fn a_string_after_a_name_that_ends_in_r_is_a_string() {
        assert_eq!(code("expr!(var\"x\")"), "expr!(var\" \")");
        assert_eq!(code("br\"x\\\" y"), "br\"  \" y");
    }

    #[test]
    fn what_is_only_for_tests_is_not_product() {
        let text = "fn a() {}\n#[cfg(test)]\nuse x::unwrap;\n#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n  \
                    fn b(x: [u8; 3]) { { x.unwrap() } }\n}\nfn c() {}\n#[cfg(all(test, unix))]\nfn d() { x.unwrap() }";
        let product = product(&code(text));
        assert!(!product.contains("unwrap"), "{product}");
        assert!(product.contains("fn a()") && product.contains("fn c()"));
        assert_eq!(product.lines().count(), text.lines().count());
    }

    #[test]
    fn what_is_not_only_for_tests_stays() {
        let text = "#[cfg(not(test))]\nfn a() { x.unwrap() }\n#[cfg(unix)]\nfn b() { y.unwrap() }";
        assert_eq!(lines_with(&product(&code(text)), ".unwrap()"), [2, 4]);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_named() {
        let text = "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod story;\n#[cfg(test)]\nmod b { }";
        assert_eq!(test_modules(&code(text)), ["tests", "story"]);
    }
}
