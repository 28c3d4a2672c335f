//! How numbers and foreign text are shown to people: durations, bytes, colour, wrapping, and making text harmless.
//! It must not know what is shown, nor where: it never asks for a terminal or an environment.

/// What the reader's screen can do. Decided once, where the environment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours may be used. Colour never carries meaning alone.
    pub colour: bool,
    /// Columns to fill at most; tables fold below their natural width.
    pub width: usize,
}

/// What a piece of text is, for colouring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Proven.
    Good,
    /// Known to be wrong.
    Bad,
    /// Could not be known.
    Unknown,
    /// Not tried, or to be noticed.
    Caution,
    /// A heading.
    Strong,
    /// Of less weight.
    Faint,
}

impl Style {
    /// No colour, this many columns.
    pub const fn plain(width: usize) -> Self {
        Self { colour: false, width }
    }

    /// The text in its ink, or as it is when there are no colours.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "1;32",
            Ink::Bad => "1;31",
            Ink::Unknown => "1;35",
            Ink::Caution => "1;33",
            Ink::Strong => "1",
            Ink::Faint => "2",
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The ink of an outcome's word.
pub fn ink(outcome: &super::outcome::Outcome) -> Ink {
    use super::outcome::Outcome;
    match outcome {
        Outcome::Passed => Ink::Good,
        Outcome::Failed(_) => Ink::Bad,
        Outcome::Skipped(_) => Ink::Caution,
        Outcome::Broken(_) => Ink::Unknown,
    }
}

/// Seconds for people: `<1 ms`, `250 ms`, `1.84 s`, `2 min 03 s`, `30 min`, `3 h 05 min`, `7 d`. What is no time is `?`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    if seconds > 0.0 && seconds < 0.001 {
        return "<1 ms".to_owned();
    }
    if seconds < 0.9995 {
        return if seconds == 0.0 { "0 s".to_owned() } else { format!("{:.0} ms", seconds * 1e3) };
    }
    if seconds < 59.95 && seconds.fract() != 0.0 {
        return if seconds < 9.995 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") };
    }
    let (minute, hour, day) = (60, 3600, 24 * 3600);
    let whole = seconds.round() as u64;
    // A round number is an objective; a measurement keeps its second unit even when that is zero.
    let exact = seconds.fract() == 0.0;
    let two = |value: u64, unit: u64, name: &str, small: u64, small_name: &str| {
        let rest = value % unit / small;
        if rest == 0 && exact && value.is_multiple_of(unit) {
            format!("{} {name}", value / unit)
        } else {
            format!("{} {name} {rest:02} {small_name}", value / unit)
        }
    };
    match whole {
        s if s < minute => format!("{s} s"),
        s if s < hour => two(s, minute, "min", 1, "s"),
        s if s < 2 * day => two((s + 30) / minute * minute, hour, "h", minute, "min"),
        s => two((s + hour / 2) / hour * hour, day, "d", hour, "h"),
    }
}

/// Bytes for people, in powers of 1000: `512 B`, `10.4 MB`.
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        value /= 1000.0;
        if value < 999.5 || unit == "EB" {
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            return format!("{value:.decimals$} {unit}");
        }
    }
    format!("{count} B")
}

/// Groups of three: `1 234 567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 drill`, `2 drills`.
pub fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Makes foreign text harmless: terminal sequences are dropped, other control characters, bidirectional overrides and
/// noncharacters are spelled out, line ends become `\n` and tabs four spaces. The result is valid in XML 1.0 text.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            // CSI: parameters, then one final byte. Anything else after ESC stays visible.
            '\x1b' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.peek().is_some_and(|p| ('\x20'..='\x3f').contains(p)) {
                    chars.next();
                }
                if chars.peek().is_some_and(|p| ('\x40'..='\x7e').contains(p)) {
                    chars.next();
                }
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => spell(&mut out, c),
            c if c.is_control() => spell(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// Harmless text on one line.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn spell(out: &mut String, c: char) {
    out.push_str(&if u32::from(c) < 0x100 {
        format!("\\x{:02x}", u32::from(c))
    } else {
        format!("\\u{:04x}", u32::from(c))
    });
}

/// Breaks harmless text into lines of at most `width` columns, at spaces where there are any; its own lines are kept.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    for line in clean(text).trim_end().lines() {
        let indent: String = line.chars().take_while(|c| *c == ' ').take(width / 2).collect();
        let mut current = indent.clone();
        for word in line.split_whitespace() {
            let fits = current.chars().count() + 1 + word.chars().count() <= width;
            if current.len() > indent.len() {
                if fits {
                    current.push(' ');
                } else {
                    lines.push(std::mem::replace(&mut current, indent.clone()));
                }
            }
            for c in word.chars() {
                if current.chars().count() >= width {
                    lines.push(std::mem::replace(&mut current, indent.clone()));
                }
                current.push(c);
            }
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests;
