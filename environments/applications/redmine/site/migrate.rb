# Makes the tables of the tracker's empty database: ruby migrate.rb world.json
#
# A program of its own: the models that migrations use know the columns of their time only.

require "json"
require_relative "application"
require "active_support/testing/time_helpers"

extend ActiveSupport::Testing::TimeHelpers

travel_to(Time.parse(JSON.parse(File.read(ARGV.fetch(0)))["begin"]))
ActiveRecord::Migration.verbose = false
ActiveRecord::MigrationContext.new("#{REDMINE}/db/migrate", ActiveRecord::SchemaMigration).migrate
