//! A seeded workload on the customer table, as SQL for the database and as steps for the oracle.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use crate::oracle::Oracle;

/// Statements in one transaction.
const STATEMENTS: usize = 150;
/// Rows of one COPY.
const COPY_ROWS: usize = 2_000;
/// Every so many transactions is a COPY, or one statement over many rows.
const COPY_EVERY: usize = 40;
const SWEEP_EVERY: usize = 9;
/// Rows of one statement over many rows.
const SWEEP_ROWS: usize = 300;
/// Letters of a value that the database stores out of line.
const LONG: usize = 3_000;
/// Ids of the rows that only the long transaction touches.
pub(crate) const HELD: std::ops::Range<i64> = 900_000_000..900_000_040;
/// Rows whose key changes come to lie here.
const REKEYED: i64 = 500_000_000;

/// The schema: a mapped table with a value that is stored out of line, and a table that nobody maps.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE customer (id bigint PRIMARY KEY, email text, phone text, street text, city text,
                           postal_code text, likes text, unmapped int DEFAULT 0);
    ALTER TABLE customer ALTER likes SET STORAGE EXTERNAL;
    CREATE TABLE noise (id bigserial, word text);";

/// SplitMix64: small, seeded, good enough to choose statements.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % below as u64).expect("below a usize")
    }
}

/// Makes transactions and tells the oracle of each.
#[derive(Debug)]
pub(crate) struct Workload {
    dice: Dice,
    pub(crate) oracle: Oracle,
    live: Vec<i64>,
    long: Vec<i64>,
    /// Deleted, oldest first; those of earlier transactions may come back.
    gone: VecDeque<i64>,
    returnable: usize,
    next_id: i64,
    transactions: usize,
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            oracle: Oracle::default(),
            live: Vec::new(),
            long: Vec::new(),
            gone: VecDeque::new(),
            returnable: 0,
            next_id: 1,
            transactions: 0,
        }
    }

    /// Rows that are there before the engine first looks; one statement.
    pub(crate) fn seed(&mut self, rows: usize) -> String {
        let mut sql: String = (0..rows).map(|_| self.insert()).collect();
        for id in HELD {
            sql += &self.insert_at(id);
        }
        sql
    }

    /// The next transaction. A COPY is written into `folder`, where the server can read it.
    pub(crate) fn next(&mut self, folder: &Path) -> String {
        self.transactions += 1;
        self.returnable = self.gone.len();
        if self.transactions.is_multiple_of(COPY_EVERY) {
            return self.copy(folder);
        }
        let mut sql = "BEGIN;".to_owned();
        if self.transactions.is_multiple_of(SWEEP_EVERY) {
            sql += &self.sweep();
        }
        for _ in 0..STATEMENTS {
            sql += &self.statement();
        }
        sql + "COMMIT;"
    }

    /// What the long transaction does before it is left open; told to the oracle by [`Workload::held_committed`].
    pub(crate) fn hold() -> String {
        let (first, last) = (HELD.start, HELD.end - 1);
        format!(
            "BEGIN; UPDATE customer SET email = 'held' || id || '@example.net' WHERE id BETWEEN {first} AND {last}"
        )
    }

    /// The long transaction has committed.
    pub(crate) fn held_committed(&mut self) {
        for id in HELD {
            self.oracle.update(id, &[("email", Some(format!("held{id}@example.net")))]);
        }
    }

    fn statement(&mut self) -> String {
        match self.dice.roll(100) {
            0..26 => self.insert(),
            26..50 => self.set(&["email"]),
            50..62 => self.set(&["email", "phone", "city"]),
            62..70 => self.set(&["street", "postal_code"]),
            70..76 => self.clear_phone(),
            76..80 => self.touch(),
            80..84 => self.long_value(),
            84..90 => self.around_long_value(),
            90..92 => self.come_back(),
            92..94 => self.rekey(),
            _ => self.delete(),
        }
    }

    fn insert(&mut self) -> String {
        let id = self.next_id;
        self.next_id += 1;
        self.live.push(id);
        self.insert_at(id)
    }

    fn insert_at(&mut self, id: i64) -> String {
        let (email, city) = (self.value("email"), self.value("city"));
        let sql = format!("INSERT INTO customer (id, email, city) VALUES ({id}, '{email}', '{city}');");
        self.oracle.insert(id, &[("email", email), ("city", city)]);
        sql
    }

    fn pick(&mut self) -> Option<i64> {
        if self.live.is_empty() { None } else { Some(self.live[self.dice.roll(self.live.len())]) }
    }

    /// Sets columns of some row to new values.
    fn set(&mut self, columns: &[&'static str]) -> String {
        let Some(id) = self.pick() else { return self.insert() };
        let news: Vec<_> = columns.iter().map(|column| (*column, Some(self.value(column)))).collect();
        let mut sql = "UPDATE customer SET ".to_owned();
        for (at, (column, value)) in news.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let value = value.as_deref().unwrap_or_default();
            write!(sql, "{comma}{column} = '{value}'").expect("writing into a string");
        }
        write!(sql, " WHERE id = {id};").expect("writing into a string");
        self.oracle.update(id, &news);
        sql
    }

    fn clear_phone(&mut self) -> String {
        let Some(id) = self.pick() else { return self.insert() };
        self.oracle.update(id, &[("phone", None)]);
        format!("UPDATE customer SET phone = NULL WHERE id = {id};")
    }

    /// A row change in which no mapped column differs.
    fn touch(&mut self) -> String {
        let Some(id) = self.pick() else { return self.insert() };
        self.oracle.update(id, &[]);
        format!("UPDATE customer SET unmapped = unmapped + 1 WHERE id = {id};")
    }

    /// A value that is stored out of line.
    fn long_value(&mut self) -> String {
        let Some(id) = self.pick() else { return self.insert() };
        let letters: String = (0..LONG)
            .map(|_| char::from(b'a' + u8::try_from(self.dice.roll(26)).expect("a letter")))
            .collect();
        self.long.push(id);
        self.oracle.update(id, &[("value", Some(letters.clone()))]);
        format!("UPDATE customer SET likes = '{letters}' WHERE id = {id};")
    }

    /// A change of another column of a row with a long value, which the database then does not send.
    fn around_long_value(&mut self) -> String {
        if self.long.is_empty() {
            return self.long_value();
        }
        let id = self.long[self.dice.roll(self.long.len())];
        let city = self.value("city");
        let sql = format!("UPDATE customer SET city = '{city}' WHERE id = {id};");
        self.oracle.update(id, &[("city", Some(city))]);
        sql
    }

    /// A deleted row appears again, in a later transaction than it went in.
    fn come_back(&mut self) -> String {
        let Some(returnable) = self.returnable.checked_sub(1) else { return self.insert() };
        self.returnable = returnable;
        let id = self.gone.pop_front().expect("those that may come back are among the deleted");
        self.live.push(id);
        self.insert_at(id)
    }

    fn rekey(&mut self) -> String {
        let Some(from) = self.pick().filter(|id| *id < REKEYED) else { return self.insert() };
        let to = REKEYED + from;
        self.forget(from);
        self.live.push(to);
        self.oracle.rekey(from, to);
        format!("UPDATE customer SET id = {to} WHERE id = {from};")
    }

    fn delete(&mut self) -> String {
        let Some(id) = self.pick() else { return self.insert() };
        self.forget(id);
        // A key that was given away by a rekey must not come back: the row under it would be another subject's.
        if id < REKEYED {
            self.gone.push_back(id);
        }
        self.oracle.delete(id);
        format!("DELETE FROM customer WHERE id = {id};")
    }

    fn forget(&mut self, id: i64) {
        self.live.retain(|one| *one != id);
        self.long.retain(|one| *one != id);
    }

    /// One statement over many rows.
    fn sweep(&mut self) -> String {
        let city = self.value("city");
        let first = self.dice.roll(self.live.len().saturating_sub(SWEEP_ROWS).max(1));
        let mut ids: Vec<i64> = self.live.iter().skip(first).take(SWEEP_ROWS).copied().collect();
        ids.sort_unstable();
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        ids.iter().for_each(|id| self.oracle.update(*id, &[("city", Some(city.clone()))]));
        format!("UPDATE customer SET city = '{city}' WHERE id IN ({});", list.join(","))
    }

    fn copy(&mut self, folder: &Path) -> String {
        let file = folder.join("copy.tsv");
        let mut lines = String::new();
        for _ in 0..COPY_ROWS {
            let id = self.next_id;
            self.next_id += 1;
            self.live.push(id);
            let (email, phone, city) = (self.value("email"), self.value("phone"), self.value("city"));
            writeln!(lines, "{id}\t{email}\t{phone}\t{city}").expect("writing into a string");
            self.oracle.insert(id, &[("email", email), ("phone", phone), ("city", city)]);
        }
        std::fs::write(&file, lines).expect("write the file of the COPY");
        format!("COPY customer (id, email, phone, city) FROM '{}';", file.display())
    }

    /// A new value; numbers stay too short to be taken for anything else.
    fn value(&mut self, column: &str) -> String {
        let number = self.dice.roll(10_000_000);
        match column {
            "email" => format!("c{number}@example.org"),
            "phone" => format!("+1555{number:07}"),
            "street" => format!("Lane {number}"),
            "postal_code" => format!("{:05}", number % 100_000),
            _ => format!("Town {number}"),
        }
    }
}
