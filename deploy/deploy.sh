#!/usr/bin/env bash
# Brings this checkout to AWS: builds and pushes the images, applies Terraform with their digests, waits until the new
# tasks are well or goes back to the images before, and puts the website online. `make deploy ENV=dev` calls it,
# and so does .github/workflows/deliver.yml, a step at a time.
#
#   deploy/deploy.sh ENV [build|push|plan|apply|site]      without a step: all of them
#
# TAG     names the images; default: the commit, and the time where the checkout is not clean
# YES=1   applies without asking
# In place of environments/ENV/backend.hcl, which bootstrap.sh writes: TF_STATE_BUCKET and AWS_REGION.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "error: $*" >&2
  exit 2
}

environment=${1:-}
step=${2:-all}
[[ -n $environment && -d terraform/environments/$environment ]] || fail "say which environment: deploy.sh dev, or prod"
root=terraform/environments/$environment
name=photo-recommender-$environment
images_file=$PWD/build/images-$environment.tfvars.json
plan_file=$PWD/build/plan-$environment
images=(service worker mlflow)
services=(mlflow service worker schedule)

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is missing: docs/operations/deploy.md says what is needed"
  done
}

tag() {
  if [[ -n ${TAG:-} ]]; then
    echo "$TAG"
  elif [[ -z $(git status --porcelain) ]]; then
    git rev-parse --short=12 HEAD
  else
    echo "$(git rev-parse --short=12 HEAD)-$(date -u +%Y%m%d%H%M%S)"
  fi
}

init() {
  local options=()
  if [[ -f $root/backend.hcl ]]; then
    options+=(-backend-config=backend.hcl)
  else
    options+=(-backend-config="bucket=${TF_STATE_BUCKET:?run terraform/bootstrap/bootstrap.sh, or set it}")
    options+=(-backend-config="region=${AWS_REGION:?}")
  fi
  terraform -chdir="$root" init -input=false -no-color "${options[@]}" >/dev/null
}

# An output of Terraform, or a key of one: `output repository_urls worker`; nothing where it is not there.
output() {
  terraform -chdir="$root" output -json | jq -r --arg name "$1" --arg key "${2:-}" \
    '.[$name].value | if $key == "" then . else .[$key]? end // empty'
}

# What runs now, as JSON; {} before the first deployment.
deployed_images() {
  aws ssm get-parameter --name "/$name/deployed-images" --query Parameter.Value --output text 2>/dev/null || echo '{}'
}

write_images() {
  mkdir -p build
  printf '{"images": %s}\n' "$1" >"$images_file"
}

build() {
  need docker make
  # Graviton is what Terraform asks for: a fifth cheaper.
  export DOCKER_DEFAULT_PLATFORM=${DOCKER_DEFAULT_PLATFORM:-linux/arm64}
  make images TAG="$1"
}

# Images are named by digest from here on: a rollback is the image that it was.
push() {
  need docker aws terraform jq
  local image repository digest json=""
  init
  if [[ -z $(output repository_urls service) ]]; then
    echo "the repositories are not there yet: applying without images first"
    write_images '{}'
    plan_and_apply
  fi
  repository=$(output repository_urls service)
  aws ecr get-login-password | docker login --username AWS --password-stdin "${repository%%/*}"
  for image in "${images[@]}"; do
    repository=$(output repository_urls "$image")
    digest=$(pushed_digest "$repository" "$1" || true)
    if [[ -z $digest || $digest == None ]]; then
      docker tag "photo-recommender-$image:$1" "$repository:$1"
      docker push --quiet "$repository:$1"
      digest=$(pushed_digest "$repository" "$1")
    fi
    [[ $digest == sha256:* ]] || fail "$repository:$1 has no digest"
    json+="${json:+, }\"$image\": \"$repository@$digest\""
  done
  write_images "{$json}"
}

# Tags are immutable: what is there under this one is this commit's.
pushed_digest() {
  aws ecr describe-images --repository-name "${1#*/}" --image-ids "imageTag=$2" \
    --query 'imageDetails[0].imageDigest' --output text 2>/dev/null
}

plan() {
  need aws terraform
  # Terraform would take an empty variable for an image's name.
  [[ -n ${TF_VAR_metrics_image:-} ]] || unset TF_VAR_metrics_image
  init
  [[ -f $images_file ]] || write_images "$(deployed_images)"
  terraform -chdir="$root" plan -input=false -no-color -var-file="$images_file" -out="$plan_file"
}

plan_and_apply() {
  plan
  if [[ ${YES:-} != 1 ]]; then
    read -r -p "apply this to $name? [y/N] " answer
    [[ $answer == y ]] || fail "nothing was applied"
  fi
  terraform -chdir="$root" apply -input=false -no-color "$plan_file"
}

apply() {
  need aws terraform jq
  local before wanted
  before=$(deployed_images)
  plan_and_apply
  wanted=$(jq -c .images "$images_file")
  [[ $wanted != '{}' ]] || return 0
  [[ $before != '{}' ]] || create_databases
  if wait_for_services; then
    aws ssm put-parameter --name "/$name/deployed-images" --type String --value "$wanted" --overwrite >/dev/null
    rm -f "$images_file" # from here on, what is deployed is what AWS says is
    return 0
  fi
  [[ $before != '{}' ]] || fail "the first deployment is not well: look at the logs of the tasks, there is nothing to go back to"
  echo "going back to the images before" >&2
  write_images "$before"
  YES=1 plan_and_apply
  rm -f "$images_file"
  wait_for_services || fail "the images before are not well either"
  fail "the new images are not well: $name runs those before, and the logs of the tasks say why"
}

# MLflow and Feast wait for theirs; a second run finds them there.
create_databases() {
  local task
  task=$(aws ecs run-task --cluster "$(output cluster_name)" --launch-type FARGATE \
    --task-definition "$(output task_families create-databases)" \
    --network-configuration "$(output run_task_network)" --query 'tasks[0].taskArn' --output text)
  aws ecs wait tasks-stopped --cluster "$(output cluster_name)" --tasks "$task"
}

# Until each service runs the task definition that was just registered. ECS goes back by itself where new tasks don't
# become well (deployment circuit breaker): then it runs another one.
wait_for_services() {
  local service wanted running state deadline=$((SECONDS + 1800))
  # The quotes within are those of AWS.
  # shellcheck disable=SC2016
  local newest='services[0].deployments[?status==`PRIMARY`].[taskDefinition, rolloutState] | [0]'
  for service in "${services[@]}"; do
    wanted=$(aws ecs describe-task-definition --task-definition "$name-$service" \
      --query taskDefinition.taskDefinitionArn --output text)
    while true; do
      read -r running state < <(aws ecs describe-services --cluster "$(output cluster_name)" --services "$service" \
        --query "$newest" --output text)
      if [[ $state == COMPLETED && $running == "$wanted" ]]; then
        echo "$service: ${wanted##*/} runs"
        break
      elif [[ $state == FAILED || $running != "$wanted" ]]; then
        echo "$service: ${wanted##*/} did not become well, ${running##*/} is $state" >&2
        return 1
      elif ((SECONDS > deadline)); then
        echo "$service: ${wanted##*/} is still $state after half an hour" >&2
        return 1
      fi
      sleep 10
    done
  done
}

# Assets first, as the page names them; they are named by their content and never change. Only the page is invalidated.
site() {
  need aws terraform jq make
  local bucket
  init
  make site
  bucket=$(output bucket_names site)
  [[ -n $bucket ]] || fail "$name has no bucket for the site: apply first"
  aws s3 sync serving/site/assets "s3://$bucket/assets" --size-only --only-show-errors \
    --cache-control "public, max-age=31536000, immutable"
  aws s3 sync serving/site "s3://$bucket" --exclude "assets/*" --exclude index.html --only-show-errors \
    --cache-control "public, max-age=3600"
  aws s3 cp serving/site/index.html "s3://$bucket/index.html" --only-show-errors --cache-control "no-cache"
  aws cloudfront create-invalidation --distribution-id "$(output distribution_id)" --paths /index.html >/dev/null
  .venv/bin/python deploy/prune_assets.py "$bucket" serving/site
  echo "$(output site_url) is online"
}

case $step in
  build) build "$(tag)" ;;
  push) push "$(tag)" ;;
  plan) plan ;;
  apply) apply ;;
  site) site ;;
  all)
    name_of_this=$(tag)
    build "$name_of_this"
    push "$name_of_this"
    apply
    site
    ;;
  *) fail "no step $step: build, push, plan, apply or site" ;;
esac
