"""The database of the container tests, as SQL: a user, sales of two plans, no notes. And tasks about it."""

REPORTS = """
create table core_user (id serial primary key, email text unique, password text);
create table core_session (id text primary key, user_id int references core_user);
create table sale (id serial primary key, plan text not null, amount int not null);
create table note (id serial primary key, text text not null);
insert into core_user (email, password) values ('ann@example.com', 'of the test');
insert into sale (plan, amount) select case when n % 3 = 0 then 'Pro' else 'Basic' end, n from generate_series(1, 300) n;
"""
EMAIL, PASSWORD = "ann@example.com", "of the test"
BASIC = {"id": "basic", "task": "How many Basic plans were sold?", "answer": '{"sold": 200}'}
PRO = {
    "id": "pro",
    "task": "How many Pro plans were sold?",
    "answer": '{"sold": 100}',
    "start_url": "http://localhost:3000/report?plan=Pro",
}
SLOW = {"id": "slow", "task": "Wait for the quarter's end.", "answer": '{"sold": 1}', "max_steps": 1_000}
