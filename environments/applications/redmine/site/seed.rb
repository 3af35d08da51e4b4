# Fills the tracker's database, whose tables are empty, with the projects, people and issues of a file: ruby seed.rb world.json
#
# The clock stands still at fixed times, and nothing is drawn, so that every installation has the same rows.

require "json"
require_relative "application"
require "active_support/testing/time_helpers"

# The start state, written through Redmine's own models.
class Seed
  include ActiveSupport::Testing::TimeHelpers

  MODULES = %w[issue_tracking time_tracking news wiki calendar].freeze
  SALT = "0f1e2d3c4b5a69788796a5b4c3d2e1f0".freeze

  def initialize(world)
    @world = world
    @trackers = {}
    @issues = {}
  end

  # Makes everything.
  def fill
    at(@world["begin"])
    ActiveRecord::Base.transaction do
      basics
      @users = @world["people"].each_with_index.to_h { |name, place| [name, user(name, place)] }
      actor
      @projects = @world["projects"].map { |wanted| project(wanted) }
      @world["issues"].each { |wanted| issue(wanted) }
      @projects.each { |made| made.versions.order(:id).first.update!(status: "closed") }
      check
    end
  end

  private

  def at(time)
    travel_to(Time.parse(time))
  end

  # Settings, roles, trackers, statuses, priorities and activities.
  def basics
    Redmine::DefaultData::Loader.load("en")
    {
      app_title: @world["title"], welcome_text: "Projects of the town's workshop.", default_language: "en",
      login_required: "1", self_registration: "0", lost_password: "0", autologin: "36500", gravatar_enabled: "0",
      rest_api_enabled: "0", enabled_scm: [], notified_events: [], date_format: "%Y-%m-%d", time_format: "%H:%M",
      timespan_format: "decimal", text_formatting: "textile", default_users_hide_mail: "1"
    }.each { |name, value| Setting[name] = value }
    User.anonymous
    User.find_by(login: "admin").update_columns(salt: SALT, hashed_password: "no password has this digest")
    @trackers = Tracker.all.index_by(&:name)
    @statuses = IssueStatus.all.index_by(&:name)
    @priorities = IssuePriority.all.index_by(&:name)
    @activities = TimeEntryActivity.all.index_by(&:name)
    @roles = Role.givable.index_by(&:name)
    # An imported file would lie in a folder that all episodes share.
    @roles["Manager"].remove_permission!(:import_issues, :import_time_entries)
  end

  def user(name, place)
    first, last = name.split
    made = User.new(firstname: first, lastname: last, mail: "#{first}.#{last}@example.com".downcase, language: "en")
    made.login = "#{first}.#{last}".downcase
    made.password = "password-#{place}"
    made.save!
    made.update_columns(salt: SALT, hashed_password: User.hash_password(SALT + User.hash_password("password-#{place}")))
    made.pref.auto_watch_on = []
    made.pref.save!
    made
  end

  # Signs in the actor: with this cookie, a browser without a session gets one.
  def actor
    token = Token.new(user: @users.values.first, action: "autologin")
    token.save!
    token.update_columns(value: @world["autologin"])
  end

  def project(wanted)
    made = Project.new(name: wanted["name"], identifier: wanted["identifier"], description: wanted["description"])
    made.enabled_module_names = MODULES
    made.trackers = Tracker.sorted.to_a
    made.is_public = true
    made.save!
    join(made, @world["people"].take(1), "Manager")
    join(made, wanted["developers"], "Developer")
    join(made, wanted["reporters"], "Reporter")
    wanted["categories"].each { |name| IssueCategory.create!(project: made, name: name) }
    wanted["versions"].each_with_index do |name, place|
      Version.create!(project: made, name: name, effective_date: Date.new(2026, 1 + 3 * place, 15))
    end
    wanted["pages"].each { |page| page(made.wiki, page) }
    wanted["news"].each { |one| news(made, one) }
    Project.find(made.id) # one that knows its members
  end

  def join(project, names, role)
    names.each { |name| Member.create!(project: project, user_id: @users[name].id, roles: [@roles[role]]) }
  end

  def page(wiki, wanted)
    page = WikiPage.new(wiki: wiki, title: wanted["title"])
    page.content = WikiContent.new(page: page, text: wanted["text"], author: @users.values.first)
    page.save!
  end

  def news(project, wanted)
    at(wanted["at"])
    News.create!(
      project: project, title: wanted["title"], summary: wanted["summary"], description: wanted["text"],
      author: @users[wanted["author"]]
    )
  end

  def issue(wanted)
    at(wanted["at"])
    project = @projects[wanted["project"]]
    made = Issue.new(
      project: project, author: @users[wanted["author"]], tracker: @trackers[wanted["tracker"]],
      subject: wanted["subject"], description: wanted["description"], priority: @priorities[wanted["priority"]],
      start_date: wanted["start"], due_date: wanted["due"], estimated_hours: wanted["estimate"], done_ratio: wanted["done"],
      assigned_to: @users[wanted["assignee"]], status: @statuses[wanted["status"]],
      category: project.issue_categories.find { |one| one.name == wanted["category"] },
      fixed_version: project.versions.find { |one| one.name == wanted["version"] }
    )
    made.notify = false
    made.save!
    @issues[wanted["number"]] = made
    around(made, wanted)
  end

  # What belongs to an issue: watchers, notes, hours, a relation.
  def around(made, wanted)
    wanted["watchers"].each { |name| Watcher.create!(watchable: made, user: @users[name]) }
    wanted["entries"].each { |entry| time_entry(made, entry) }
    if wanted["related"]
      IssueRelation.insert_all!([{ issue_from_id: wanted["related"], issue_to_id: made.id, relation_type: "relates" }])
    end
    wanted["comments"].each { |one| comment(made, one) }
  end

  def time_entry(made, wanted)
    user = @users[wanted["user"]]
    TimeEntry.create!(
      project: made.project, issue: made, user: user, author: user, hours: wanted["hours"], spent_on: wanted["on"],
      activity: @activities[wanted["activity"]]
    )
  end

  def comment(made, wanted)
    at(wanted["at"])
    journal = Journal.new(journalized: made, user: @users[wanted["author"]], notes: wanted["text"])
    journal.notify = false
    journal.save!
    made.update_columns(updated_on: Time.now)
  end

  # Ends the program if a row has not the id by which the tasks know it.
  def check
    @world["ids"].each do |kind, expected|
      rows = kind.constantize.where(id: expected.map(&:first)).index_by(&:id)
      expected.each do |id, name|
        found = rows[id] && (rows[id].try(:subject) || rows[id].try(:title) || rows[id].name)
        abort("expected the #{kind} #{id} to be #{name.inspect}, found #{found.inspect}") if found != name
      end
    end
  end
end

Seed.new(JSON.parse(File.read(ARGV.fetch(0)))).fill
