//! Who merges, as people type and read it: the name of a plugin, or rules that are built in.

use colony_client::admin::{AttributeNames, BuiltIn, MergeBy, MergeRule};

use crate::config;

/// The built-in merge that holds unless something else is said.
pub(super) const BUILTIN_LAST_WRITE: &str = "builtin:last-write";
/// What begins the words for built-in merges, and never the name of a plugin.
const BUILTIN: &str = "builtin:";

/// The rules by their names.
const RULES: [(&str, BuiltIn); 8] = [
    ("last-write", BuiltIn::LastWrite),
    ("max", BuiltIn::Max),
    ("min", BuiltIn::Min),
    ("counter", BuiltIn::Counter),
    ("quantity", BuiltIn::Quantity),
    ("set-union", BuiltIn::SetUnion),
    ("json", BuiltIn::Json),
    ("reject", BuiltIn::Reject),
];

/// `PLUGIN`, `builtin:RULE` for every attribute, or `builtin:NAME=RULE,PREFIX*=RULE,*=RULE`.
pub(super) fn parse(text: &str) -> Result<MergeBy, String> {
    let Some(rules) = text.strip_prefix(BUILTIN) else {
        return config::name(text).map(MergeBy::Plugin).map_err(|error| error.to_string());
    };
    if !rules.contains(['=', ',']) {
        return Ok(match rule(rules)? {
            BuiltIn::LastWrite => MergeBy::LastWrite,
            rule => MergeBy::Rules(vec![MergeRule { of: AttributeNames::Prefix(String::new()), rule }]),
        });
    }
    let mut parsed: Vec<MergeRule> = Vec::new();
    for part in rules.split(',') {
        // No rule's name has a sign of equality, an attribute's may.
        let (names, name) = part
            .rsplit_once('=')
            .filter(|(names, _)| !names.is_empty())
            .ok_or_else(|| format!("{part:?} is not ATTRIBUTE=RULE, as in count=counter, item:*=quantity or *=max"))?;
        let of = match names.strip_suffix('*') {
            Some(prefix) => AttributeNames::Prefix(prefix.to_owned()),
            None => AttributeNames::One(names.to_owned()),
        };
        if parsed.iter().any(|earlier| earlier.of == of) {
            return Err(format!("{names:?} has two rules"));
        }
        parsed.push(MergeRule { of, rule: rule(name)? });
    }
    Ok(MergeBy::Rules(parsed))
}

fn rule(name: &str) -> Result<BuiltIn, String> {
    let known = RULES.iter().find(|(known, _)| *known == name);
    known.map(|(_, rule)| *rule).ok_or_else(|| {
        let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        format!("no merge named {name:?} is built in; there are {}", names.join(", "))
    })
}

/// Who merges, as [`parse`] reads it.
pub(super) fn text(merge: &MergeBy) -> String {
    match merge {
        MergeBy::LastWrite => BUILTIN_LAST_WRITE.to_owned(),
        MergeBy::Plugin(name) => name.clone(),
        MergeBy::Rules(rules) => match rules.as_slice() {
            [] => BUILTIN_LAST_WRITE.to_owned(),
            [MergeRule { of: AttributeNames::Prefix(prefix), rule }] if prefix.is_empty() => {
                format!("{BUILTIN}{}", name_of(*rule))
            }
            rules => {
                let rules: Vec<String> = rules.iter().map(one).collect();
                format!("{BUILTIN}{}", rules.join(","))
            }
        },
    }
}

fn one(MergeRule { of, rule }: &MergeRule) -> String {
    match of {
        AttributeNames::One(name) => format!("{name}={}", name_of(*rule)),
        AttributeNames::Prefix(prefix) => format!("{prefix}*={}", name_of(*rule)),
    }
}

fn name_of(rule: BuiltIn) -> &'static str {
    match rule {
        BuiltIn::LastWrite => "last-write",
        BuiltIn::Max => "max",
        BuiltIn::Min => "min",
        BuiltIn::Counter => "counter",
        BuiltIn::Quantity => "quantity",
        BuiltIn::SetUnion => "set-union",
        BuiltIn::Json => "json",
        BuiltIn::Reject => "reject",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_merges_reads_back() {
        let typed = [
            "cart-merge",
            BUILTIN_LAST_WRITE,
            "builtin:counter",
            "builtin:reject",
            "builtin:count=counter,item:*=quantity,items=set-union,profile=json,a=b=max,low=min,pin=reject,*=last-write",
        ];
        for name in typed {
            assert_eq!(text(&parse(name).unwrap()), name);
        }
        for (name, rule) in RULES {
            assert_eq!(
                (parse(&format!("builtin:a={name}")).map(|merge| text(&merge)), name_of(rule)),
                (Ok(format!("builtin:a={name}")), name)
            );
        }
    }

    #[test]
    fn a_wrong_merge_is_named() {
        for (wrong, said) in [
            ("builtin:magic", "no merge named \"magic\" is built in; there are last-write, max,"),
            ("builtin:", "no merge named \"\""),
            ("builtin:a=magic", "no merge named \"magic\""),
            ("builtin:a=max,", "\"\" is not ATTRIBUTE=RULE"),
            ("builtin:max,a=max", "\"max\" is not ATTRIBUTE=RULE"),
            ("builtin:=max", "\"=max\" is not ATTRIBUTE=RULE"),
            ("builtin:a=max,a=min", "\"a\" has two rules"),
            ("builtin:*=max,*=min", "\"*\" has two rules"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.starts_with(said), "{wrong}: {error}");
        }
        assert!(parse("Not A Name").is_err());
    }
}
