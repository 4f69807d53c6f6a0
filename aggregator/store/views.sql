-- The usual questions without a join, for people who use SQL directly (docs/archive.md).
-- $dated, $week and the others are filled in by views.py for SQLite or PostgreSQL.

CREATE VIEW all_articles AS
SELECT a.id, a.outlet, a.feed, a.title, a.url, a.lang, a.author, a.published, a.captured, a.first_seen,
       $dated, a.revision, p.story_id, p.reprint_of, length(a.text) AS characters, a.text
FROM article a LEFT JOIN place p ON p.article_id = a.id;

CREATE VIEW coverage AS
SELECT t.agreement, t.clause, t.score, $first_quote AS quote, a.id AS article_id, a.outlet, a.title, a.url, a.lang,
       $dated, p.story_id, p.reprint_of
FROM clause_tag t JOIN article a ON a.id = t.article_id LEFT JOIN place p ON p.article_id = a.id
WHERE t.relation = 'discusses';

CREATE VIEW evidence AS
SELECT t.agreement, t.clause, t.relation, t.score, t.catalogue, $field AS field, $start AS starts, $end AS ends,
       $quote AS quote, $rule AS rule, a.id AS article_id, a.outlet, a.title, a.url, a.lang, $dated
FROM clause_tag t JOIN article a ON a.id = t.article_id CROSS JOIN $each;

CREATE VIEW outlet_weeks AS
SELECT a.outlet, $week AS week, count(*) AS articles, count(p.reprint_of) AS reprints
FROM article a LEFT JOIN place p ON p.article_id = a.id
GROUP BY a.outlet, $week;

CREATE VIEW clause_weeks AS
SELECT t.agreement, t.clause, a.outlet, $week AS week, count(*) AS articles
FROM clause_tag t JOIN article a ON a.id = t.article_id
WHERE t.relation = 'discusses'
GROUP BY t.agreement, t.clause, a.outlet, $week;

CREATE VIEW story_articles AS
SELECT s.id AS story_id, s.headline, a.id AS article_id, a.outlet, a.title, a.url, a.lang, $dated, p.reprint_of
FROM story s JOIN place p ON p.story_id = s.id JOIN article a ON a.id = p.article_id;

CREATE VIEW feed_health AS
SELECT f.id AS feed, f.title, f.outlet, f.last_poll, f.last_success, f.last_new, f.failing_since, f.last_error,
       o.since AS down_since, o.kind AS down_kind
FROM feed f LEFT JOIN outage o ON o.feed = f.id AND o.until IS NULL;
