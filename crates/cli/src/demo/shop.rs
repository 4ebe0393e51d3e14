//! The demo's master record: a SQLite database with one table of customers.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::exit::{Failure, UNAVAILABLE};

/// The customer whose changes the stories follow.
pub(crate) const ADA: i64 = 1;

/// The shop's database.
#[derive(Debug)]
pub(crate) struct Shop {
    path: PathBuf,
    connection: Connection,
}

impl Shop {
    /// Makes the database with a few customers.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("shop.db");
        let connection = Connection::open(&path).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;
                 CREATE TABLE customers (
                   id INTEGER PRIMARY KEY, email TEXT, phone TEXT, city TEXT, postal_code TEXT,
                   payment_token TEXT, home_store TEXT, tier TEXT,
                   consent_class TEXT, consent_channel TEXT, sms_status TEXT);
                 INSERT INTO customers VALUES
                   (1, 'ada@example.org', '+15550100', 'Graz', '8010', NULL, 'graz-1', NULL,
                    'marketing', 'sms', 'granted'),
                   (2, 'bob@example.org', '+15550101', 'Linz', '4020', NULL, 'linz-1', NULL, NULL, NULL, NULL);",
            )
            .map_err(failed)?;
        Ok(Self { path, connection })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets one column of one customer.
    pub(crate) fn set(&self, id: i64, column: &'static str, value: &str) -> Result<(), Failure> {
        let sql = format!("UPDATE customers SET {column} = ?2 WHERE id = ?1");
        self.connection.execute(&sql, (id, value)).map_err(failed)?;
        Ok(())
    }

    /// Adds a customer.
    pub(crate) fn add(&self, id: i64, email: &str) -> Result<(), Failure> {
        let sql = "INSERT INTO customers (id, email, city, home_store) VALUES (?1, ?2, 'Wien', 'wien-1')";
        self.connection.execute(sql, (id, email)).map_err(failed)?;
        Ok(())
    }

    /// Adds so many members of the loyalty programme and changes the tier of each of them so often. Gives how many
    /// changes that were.
    pub(crate) fn update_members(&self, members: i64, rounds: i64) -> Result<u64, Failure> {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                   INSERT INTO customers (id, tier, home_store) SELECT 100000 + i, 'tier 0', 'wien-2' FROM n";
        let mut changed = self.connection.execute(sql, [members]).map_err(failed)?;
        for round in 1..=rounds {
            let sql = "UPDATE customers SET tier = 'tier ' || ?1 WHERE id > 100000";
            changed += self.connection.execute(sql, [round]).map_err(failed)?;
        }
        Ok(changed as u64)
    }

    /// Rows that the source still holds for the engine.
    pub(crate) fn outbox_rows(&self) -> Result<i64, Failure> {
        let sql = "SELECT count(*) FROM _writ_changes";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> Failure {
    Failure::plain(format!("demo shop: {error}"), UNAVAILABLE)
}
