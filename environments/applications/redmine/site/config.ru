# The project tracker as a Rack application.

require_relative "application"

use Tenants
run Rails.application
