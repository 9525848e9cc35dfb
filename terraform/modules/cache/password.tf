# The password is made while Terraform runs and is in no state and no plan: secrets take it through write-only arguments, the
# cache through CloudFormation, which reads it from the secret itself. (`aws_elasticache_user` and `auth_token` of the
# provider's 6.25 would keep it in the state.)

ephemeral "aws_secretsmanager_random_password" "new" {
  password_length     = 64
  exclude_punctuation = true # it becomes part of an address
}

resource "aws_secretsmanager_secret" "password" {
  # checkov:skip=CKV2_AWS_57: rotated by raising password_version, since tasks have to restart with it
  name        = "${var.name}/cache-password"
  description = "Password of the cache, for CloudFormation; tasks get the address, which holds it"
  kms_key_id  = var.secrets_key_arn

  recovery_window_in_days = var.recovery_window_in_days

  tags = var.tags
}

resource "aws_secretsmanager_secret_version" "password" {
  secret_id                = aws_secretsmanager_secret.password.id
  secret_string_wo         = jsonencode({ password = ephemeral.aws_secretsmanager_random_password.new.random_password })
  secret_string_wo_version = var.password_version
}

locals {
  reference = "{{resolve:secretsmanager:${aws_secretsmanager_secret.password.arn}:SecretString:password"
  passwords = concat(
    # Named by its version, so that a new password changes the template.
    ["${local.reference}::${aws_secretsmanager_secret_version.password.version_id}}}"],
    var.accept_previous_password ? ["${local.reference}:AWSPREVIOUS}}"] : [],
  )
}

# The user is named default, as clients that give only a password are.
resource "aws_cloudformation_stack" "user" {
  # checkov:skip=CKV_AWS_124: Terraform itself waits for the stack and fails with it
  name = "${var.name}-cache-user"

  template_body = jsonencode({
    Description = "The user of the cache ${var.name}. Managed by Terraform."
    Resources = {
      User = {
        Type = "AWS::ElastiCache::User"
        Properties = {
          UserId       = "${var.name}-tasks"
          UserName     = "default"
          Engine       = "valkey"
          AccessString = "on ~* &* +@all -flushall -flushdb"
          Passwords    = local.passwords
        }
      }
    }
    Outputs = {
      UserId = { Value = { Ref = "User" } }
    }
  })

  tags = var.tags
}

# Read back rather than taken from above: what an apply that failed midway has set is what counts.
ephemeral "aws_secretsmanager_secret_version" "password" {
  secret_id = aws_secretsmanager_secret_version.password.secret_id
}

resource "aws_secretsmanager_secret" "url" {
  # checkov:skip=CKV2_AWS_57: as above
  name        = "${var.name}/cache-url"
  description = "PHOTO_RECOMMENDER_ONLINE_STORE and PHOTO_RECOMMENDER_BUDGET_URL: rediss://:password@host:port/0"
  kms_key_id  = var.secrets_key_arn

  recovery_window_in_days = var.recovery_window_in_days

  tags = var.tags
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id = aws_secretsmanager_secret.url.id
  secret_string_wo = format(
    "rediss://:%s@%s:6379/0",
    jsondecode(ephemeral.aws_secretsmanager_secret_version.password.secret_string)["password"],
    aws_elasticache_replication_group.this.primary_endpoint_address,
  )
  secret_string_wo_version = var.password_version
}
